"""Jobs that write to a store: their lease, their progress, and cleaning up after them."""
