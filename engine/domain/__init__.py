"""The words everybody shares: money, ids, instruments, orders, commands and events. Imports nothing of ours from above."""
