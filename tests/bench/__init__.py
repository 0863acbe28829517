"""Measurements, as counts and ratios; run by `make bench`."""
