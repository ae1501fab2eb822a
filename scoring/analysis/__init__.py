"""What published scores show: pure functions from columns to findings."""
