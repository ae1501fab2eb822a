"""`protoscore outliers`: the least prototypical examples by a metric."""

from collections.abc import Sequence

from ray_jobs.terminal.ranking_ends import show_end


def main(argv: Sequence[str] | None = None) -> int:
    """Show the least prototypical examples, the most extreme first."""
    return show_end("outliers", argv)
