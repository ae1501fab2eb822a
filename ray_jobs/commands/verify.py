"""`protoscore verify`: check every file of a store for damage."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.jobs.verify import mend, verify
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import StoreUri
from scoring.errors import Damaged
from scoring.store.mark import check_marked
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class VerifyFlags:
    """Check every file of a store against the hash that it carries; name those that are damaged.

    Exit code 5 if there are any.
    """

    mend: bool = False
    """Set damaged files aside, so that the next night makes them again."""
    store: StoreUri = field(default_factory=default_store)


def main(argv: Sequence[str] | None = None) -> int:
    """Check a store."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(VerifyFlags, args, "protoscore verify")
    storage = Storage(flags.store)
    storage.check(writable=flags.mend)
    check_marked(storage)
    command = command_line("verify", args)
    damaged = mend(storage, command) if flags.mend else verify(storage)
    say("\n".join(damaged) if damaged else "every file is as it was written")
    return Damaged.exit_code if damaged else 0
