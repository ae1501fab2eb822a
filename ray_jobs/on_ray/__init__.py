"""Shards and trainings on a cluster. Only this room imports Ray."""
