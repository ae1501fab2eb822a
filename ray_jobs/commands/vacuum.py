"""`protoscore vacuum`: remove what neither published scores nor jobs need."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ray_jobs.jobs.vacuum import vacuum
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import StoreUri
from scoring.errors import UserError
from scoring.store.mark import check_marked
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class VacuumFlags:
    """Remove staged scores, logits, runs and shards that nothing published needs.

    Files that protoscore did not write stay, whatever folder they are in.
    """

    older_than_days: float = 30.0
    """Keep files younger than this, needed or not."""
    dry_run: bool = False
    """Only list the files that would be removed."""
    store: StoreUri = field(default_factory=default_store)


def main(argv: Sequence[str] | None = None) -> int:
    """Remove leftovers."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(VacuumFlags, args, "protoscore vacuum")
    if not flags.older_than_days >= 0:
        raise UserError(f"--older-than-days: expected 0 or more, got {flags.older_than_days}")
    storage = Storage(flags.store)
    storage.check(writable=not flags.dry_run)
    check_marked(storage)
    command = command_line("vacuum", args)
    say(vacuum(storage, timedelta(days=flags.older_than_days), command, dry_run=flags.dry_run))
    return 0
