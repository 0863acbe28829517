"""How a parent order becomes children: the algorithms, and the agent that runs them."""
