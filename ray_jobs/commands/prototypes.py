"""`protoscore prototypes`: the most prototypical examples by a metric."""

from collections.abc import Sequence

from ray_jobs.terminal.ranking_ends import show_end


def main(argv: Sequence[str] | None = None) -> int:
    """Show the most prototypical examples, the most extreme first."""
    return show_end("prototypes", argv)
