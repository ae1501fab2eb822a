"""Scoring one shard: signals made once, folded by every metric, then ranked."""
