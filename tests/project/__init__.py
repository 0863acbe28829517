"""Tests about the project itself: what it loads, what it ships, how it is kept tidy."""
