"""The exceptions of protoscore.

    ProtoscoreError
    ├── UserError                exit code 2: mend the command line or the data, then try again
    │   ├── UnknownName          a dataset, metric, net, recipe or fleet that nobody registered
    │   ├── BadData              a source file or column that cannot be used
    │   ├── BadStore             a store that cannot be read or written
    │   └── PublishedDiffers     would replace a published partition made with other settings
    ├── PartlyPublished          exit code 3: some metrics were published, the rest is named
    ├── IncompleteError          exit code 4: runs or rows are missing; nothing was published
    ├── TrainingDiverged         a run's loss is no longer a number
    └── OutOfTime                the hours that the job was given are over; what is made stays

Every message is one line that says "expected X, got Y" and names the flag, file or column.
"""

from collections.abc import Iterable


class ProtoscoreError(Exception):
    """Base of all errors that protoscore raises on purpose."""

    exit_code = 1


class UserError(ProtoscoreError):
    """Something the user gave cannot be used; one line, no traceback, exit code 2."""

    exit_code = 2


class UnknownName(UserError):
    """A name that is not registered; the message lists those that are."""

    def __init__(self, kind: str, got: str, known: Iterable[str]) -> None:
        super().__init__(f"{kind}: expected one of {', '.join(sorted(known))}, got {got!r}")


class BadData(UserError):
    """A source file, column or image set that cannot be used."""


class BadStore(UserError):
    """A store URI that cannot be read or written."""


class PublishedDiffers(UserError):
    """A partition published with other settings would be replaced in silence."""


class PartlyPublished(ProtoscoreError):
    """Runs failed, or time was over: what was complete is published, the rest is named."""

    exit_code = 3


class IncompleteError(ProtoscoreError):
    """Runs, shards or rows are missing, so nothing was published."""

    exit_code = 4


class TrainingDiverged(ProtoscoreError):
    """A run's training loss became infinite or NaN; the message names the run."""


class OutOfTime(ProtoscoreError):
    """The job's hours are over; all that was made is kept for the next one."""
