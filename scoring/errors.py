"""The exceptions of protoscore.

    ProtoscoreError
    ├── UserError                exit code 2: correct the command line or the data, then try again
    │   ├── UnknownName          no dataset, metric, net, recipe or fleet has that name
    │   ├── BadData              a source file or column cannot be used
    │   ├── BadStore             a store, or a file in it, cannot be read or written
    │   ├── DroppedVersion       an earlier version of the tables held examples that were forgotten
    │   └── PublishedDiffers     a published partition has other settings
    ├── PartlyPublished          exit code 3: some metrics were published, the others are named
    ├── IncompleteError          exit code 4: runs or rows are missing; nothing was published
    ├── Outage                   exit code 5: the machine or the store failed; run the command again
    │   └── Damaged              a file of the store is not what was written
    ├── TrainingDiverged         the loss of a run is no longer a number
    └── OutOfTime                the job's time is over; everything made so far is kept
    KeyboardInterrupt            exit code 130: Ctrl-C
    └── Terminated               exit code 143: SIGTERM

`protoscore check` ends with exit code 1 when an expectation of the night failed. Any other
exception is a mistake of ours: exit code 1 too, and its full text goes to a file.

Every message is one line that says "expected X, got Y" and names the flag, file or column.
"""

from collections.abc import Iterable

from scoring.secrets import without_secrets


class ProtoscoreError(Exception):
    """Base of all errors that protoscore raises on purpose. A message holds no credentials."""

    exit_code = 1

    def __str__(self) -> str:
        return without_secrets(super().__str__())


class UserError(ProtoscoreError):
    """Input from the user that cannot be used: one line, no traceback, exit code 2."""

    exit_code = 2


class UnknownName(UserError):
    """An unknown name; the message lists the known ones."""

    def __init__(self, kind: str, got: str, known: Iterable[str]) -> None:
        super().__init__(f"{kind}: expected one of {', '.join(sorted(known))}, got {got!r}")


class BadData(UserError):
    """A source file, column or image set that cannot be used."""


class BadStore(UserError):
    """A store, or a file in it, that cannot be read or written."""


class DroppedVersion(UserError):
    """A version of the tables that can no longer be shown: examples in it were forgotten."""


class PublishedDiffers(UserError):
    """A published partition was made with other settings and would be replaced silently."""


class PartlyPublished(ProtoscoreError):
    """Runs failed or time ran out; the complete metrics are published, the others are named."""

    exit_code = 3


class IncompleteError(ProtoscoreError):
    """Runs, shards or rows are missing; nothing was published."""

    exit_code = 4


class Outage(ProtoscoreError):
    """The machine or the store failed. What was made stays, and the same command goes on."""

    exit_code = 5


class Damaged(Outage):
    """A file of the store is not what was written: cut off, changed, or another file."""


class TrainingDiverged(ProtoscoreError):
    """The training loss of a run became infinite or NaN; the message names the run."""


class OutOfTime(ProtoscoreError):
    """The job's time is over; the next job continues from what was made."""


class InternalError(Exception):
    """A mistake of ours on a worker; the full text is in its notes."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: what is open is closed as for Ctrl-C."""
