"""What people type and read: flags, one-line errors, tables."""
