"""The fault laboratory: seeded schedules of orders, venue faults and killed engines, judged at the venue."""
