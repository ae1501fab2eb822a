"""Ratios to lower bounds and to peers, with both sides measured in the same run: `make bench`."""
