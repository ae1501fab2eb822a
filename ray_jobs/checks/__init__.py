"""What is expected of a night, and whether it holds: facts, verdicts, gauges."""
