"""Strategies that come with Bolt."""
