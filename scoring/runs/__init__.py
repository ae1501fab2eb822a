"""Runs: what is trained, by which spec, and what a finished training left behind."""
