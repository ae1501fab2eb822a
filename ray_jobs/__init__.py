"""Where it runs: all of Ray. Jobs know specs, never a metric by name."""
