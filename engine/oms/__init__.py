"""Order management: the orders, the broker's interface, reconciliation and the kill procedure."""
