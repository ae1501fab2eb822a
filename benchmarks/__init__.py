"""Ratios against floors and peers, each taken side by side in one run: `make bench`."""
