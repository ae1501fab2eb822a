"""What several metrics share: statistics gathered one run, or one checkpoint, at a time."""
