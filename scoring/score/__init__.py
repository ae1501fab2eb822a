"""Scores one shard: makes each signal once, lets every metric fold it, and ranks the results."""
