"""The only room that imports Ray: shards and trainings on a cluster."""
