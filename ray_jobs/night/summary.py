"""The summary of a night as JSON, for the program that started it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_jobs.jobs.progress import Stage, observing
from ray_jobs.night.night_record import Night, load_night
from ray_jobs.night.plan import Plan
from ray_jobs.terminal.console import exit_code
from ray_jobs.terminal.say import note
from scoring.errors import ProtoscoreError, UserError
from scoring.store.outages import known
from scoring.store.whole_files import check_writable, refused
from scoring.tables.publish import Outcome


@dataclass
class Summary:
    """A summary, filled in as the night proceeds."""

    content: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Stage] = field(default_factory=dict)
    """Each stage that had work, as it was last seen."""

    def observe(self, stage: Stage) -> None:
        """Note the progress of a stage."""
        self.seen[stage.name] = stage

    def stages(self) -> list[dict[str, Any]]:
        """Return name, unit, done, total and seconds of each stage that had work."""
        kept = ("name", "unit", "done", "total", "seconds")
        return [{name: getattr(stage, name) for name in kept} for stage in self.seen.values()]

    def published(self, made: Plan, outcome: Outcome) -> None:
        """Note the night's row of `nights` and the fate of each partition."""
        row = load_night(made.request.storage, str(self.content["night_id"]))
        self.content["night"] = {**row, "commit_version": outcome.version}
        for fate in ("committed", "already", "yielded"):
            names = [str(manifest.partition) for manifest in getattr(outcome, fate)]
            self.content[fate] = sorted(names)

    def write(self, target: str, code: int, said: str) -> None:
        """Write the file, if there is to be one.

        Raises:
            UserError: it cannot be written.
            Outage: the disk is full or fails.
        """
        if not target:
            return
        ended = {"stages": self.stages(), "exit_code": code, "said": said}
        try:
            Path(target).write_text(json.dumps({**self.content, **ended}, indent=1) + "\n")
        except OSError as error:
            raise refused(error, "--summary", "file", target) from error


@contextmanager
def write_summary(target: str, night: Night) -> Iterator[Summary]:
    """Write a summary when the night ends, however it ends.

    Args:
        target: a local file; "" writes none.
        night: the night.

    Raises:
        UserError: the file's folder does not exist, or is read-only.
    """
    if target and not Path(target).absolute().parent.is_dir():
        raise UserError(f"--summary: expected a file in a folder that exists, got {target!r}")
    if target:
        check_writable(Path(target).absolute().parent, "--summary", target)
    summary = Summary({"night_id": night.night_id, "date": night.date.isoformat()})
    try:
        with observing(summary.observe):
            yield summary
    except BaseException as error:
        said = str(known(error) or type(error).__name__)
        try:
            summary.write(target, exit_code(error), said)
        except ProtoscoreError as second:  # it must not mask the first
            note(str(second))
        raise
    summary.write(target, 0, "")
