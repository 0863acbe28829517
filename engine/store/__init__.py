"""The journal, the tables, and the orders projected from the journal."""
