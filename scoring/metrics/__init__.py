"""One file per metric. `scoring.registry` finds the `METRIC` of each: there is no list to edit."""
