"""`protoscore adopt`: mark a store that an earlier protoscore made, so that jobs write to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import StoreUri
from scoring.store.mark import adopt
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class AdoptFlags:
    """Mark a store that an earlier protoscore made, so that jobs write to it again.

    Its files carry no hashes of their own and are trusted as they are; new ones do.
    """

    store: StoreUri = field(default_factory=default_store)


def main(argv: Sequence[str] | None = None) -> int:
    """Mark a store."""
    storage = Storage(parse_flags(AdoptFlags, argv, "protoscore adopt").store)
    storage.check(writable=True)
    adopt(storage)
    say(f"{storage.uri} is a store")
    return 0
