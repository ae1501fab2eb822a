"""Jobs that write to a store: their records and leases, progress, status and cleaning up."""
