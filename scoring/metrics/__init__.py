"""One file a metric; `scoring.registry` finds the `METRIC` of each, so there is no list to edit."""
