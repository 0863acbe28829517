"""Tests of the ways in which orders are asked for."""
