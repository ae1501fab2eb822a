"""`protoscore forget`: remove examples from a store for good."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import StoreUri, by_default
from scoring.errors import UserError
from scoring.store.keys import SPLITS, Split
from scoring.store.mark import check_marked
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class ForgetFlags:
    """Remove examples from a store for good: from tables, their history and all files.

    The others keep their ids and scores, and are ranked anew. Later nights leave the examples out
    even if the source still has them. A certificate in the store says what was removed and what
    could not be.
    """

    ids: Annotated[str, by_default("")] = ""
    """File with an example id a line; needs --split."""
    names: Annotated[str, by_default("")] = ""
    """File with the name of an example a line; all examples of that name are forgotten."""
    split: Annotated[Split | None, by_default("both, with --names")] = None
    """Split of the examples."""
    dataset: Annotated[str | None, by_default("the only one in the store")] = None
    """Dataset of the examples, by its own name."""
    dry_run: bool = False
    """Only say what would be removed."""
    store: StoreUri = field(default_factory=default_store)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if bool(self.ids) == bool(self.names):
            got = "both" if self.ids else "neither"
            raise UserError(f"--ids, --names: expected one of them, got {got}")
        if self.ids and self.split is None:
            raise UserError("--split: expected train or test with --ids, got none")

    def splits(self) -> tuple[Split, ...]:
        """Return the splits to forget in."""
        return (self.split,) if self.split else SPLITS


def main(argv: Sequence[str] | None = None) -> int:
    """Forget examples."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(ForgetFlags, args, "protoscore forget")
    flags.check()
    ids = tuple(_id(line) for line in _lines(flags.ids, "--ids"))
    names = tuple(_lines(flags.names, "--names"))
    storage = Storage(flags.store)
    storage.check(writable=not flags.dry_run)
    check_marked(storage)
    from ray_jobs.jobs.forget import forget  # imports torch: seconds
    from ray_jobs.jobs.forget_wanted import Wanted, choose_dataset

    wanted = Wanted(
        dataset=choose_dataset(storage, flags.dataset), splits=flags.splits(), ids=ids, names=names
    )
    say(forget(storage, wanted, command_line("forget", args), dry_run=flags.dry_run))
    return 0


def _lines(file: str, flag: str) -> list[str]:
    """Read the lines of a file, leaving out empty ones."""
    if not file:
        return []
    try:
        text = Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{flag}: expected a text file in UTF-8, got {file!r} ({type(error).__name__})"
        ) from error
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if not lines:
        raise UserError(f"{flag}: expected a file with a line for each example, got an empty one")
    return lines


def _id(line: str) -> int:
    if not line.strip().isdecimal():
        raise UserError(f"--ids: expected an example id on each line, got {line!r}")
    return int(line)
