"""Tests of the execution algorithms."""
