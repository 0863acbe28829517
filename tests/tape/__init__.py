"""Tests of the tape: what is recorded, and that a day is decided again from it."""
