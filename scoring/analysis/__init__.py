"""What published scores say: pure functions from columns to findings."""
