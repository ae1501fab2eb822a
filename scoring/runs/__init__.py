"""Runs: the fleet a night needs, imported checkpoints, and trained models in the store."""
