"""Files of reviewers' decisions: those of the page, and Label Studio's JSON export.

    {"queue": "<32 hex digits>", "reviewer": "ann", "decisions": [
      {"example_id": 17, "decision": "relabel", "label": 3, "decided_at": "2026-11-20T09:31:02Z"}]}

`label` is a class index, and null unless the decision is to relabel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_jobs.evaluations.answer_files import key_in, load_json, read_each, short
from ray_jobs.evaluations.label_studio_answers import annotations_of, is_label_studio
from ray_jobs.terminal.say import note
from scoring.data.reviews import DECISIONS, Check, Decision, Queue, load_queue
from scoring.data.versions import named_version
from scoring.errors import UserError
from scoring.printable import printable
from scoring.store.storage import Storage
from scoring.tables.verdicts import Verdict, merged

_LARGEST_MB = 500  # Label Studio's exports may hold the images
_LONGEST_NAME = 200
_CLOCKS = timedelta(days=1)  # by which clocks may be ahead


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What some files say about one queue."""

    queue: Queue
    verdicts: Sequence[Verdict]
    """The newest of each reviewer about each example."""


def read_decisions(storage: Storage, names: Sequence[str]) -> Decisions:
    """Read and check files of decisions; all that cannot be used are named, one line each.

    Raises:
        UserError: a file cannot be used; it is about the last of them.
        Damaged: the design of a queue is not what was written.
    """
    reading = _Reading(storage)
    read_each(names, reading.add)
    return reading.result()


class _Reading:
    """Files read so far. Its errors do not name the file."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._queue: Queue | None = None
        self._checks: dict[int, Check] = {}
        self._classes: tuple[str, ...] = ()
        self._verdicts: list[Verdict] = []
        self._unknown: set[int] = set()

    def add(self, name: str) -> None:
        content = load_json(name, _LARGEST_MB, "review")
        if is_label_studio(content):
            for queue, reviewer, decision in annotations_of(content):
                self._open(queue)
                self._take(reviewer, [self._by_index(decision)])
        elif isinstance(content, dict):
            self._open(key_in(content, "queue"))
            decisions = content.get("decisions")
            if not isinstance(decisions, list):
                raise UserError(f"expected a list of decisions, got {short(decisions)}")
            self._take(_reviewer(content), decisions)
        else:
            raise UserError(f"expected a JSON object, got {short(content)}")

    def result(self) -> Decisions:
        assert self._queue is not None
        if self._unknown:
            note(
                f"decisions about examples that were forgotten, and do not count: "
                f"{len(self._unknown)}"
            )
        return Decisions(queue=self._queue, verdicts=merged(self._verdicts))

    def _open(self, queue: str) -> None:
        """Read the design of the queue that all files must be of."""
        if self._queue is None:
            try:
                self._queue = load_queue(self._storage, queue)
            except FileNotFoundError:
                uri = self._storage.uri
                raise UserError(f"expected decisions on a queue of {uri}, got {queue}") from None
            self._checks = {check.example_id: check for check in self._queue.checks}
            q = self._queue
            data = named_version(self._storage, q.data, q.split, q.dataset_version)
            self._classes = data.classes
        if queue != self._queue.id:
            raise UserError(
                f"expected decisions on queue {self._queue.id[:8]} as in the others, got "
                f"{queue[:8]}; import each queue by itself"
            )

    def _take(self, reviewer: str, decisions: Sequence[Any]) -> None:
        made = [self._verdict(reviewer, decision) for decision in decisions]
        self._verdicts += [verdict for verdict in made if verdict]

    def _verdict(self, reviewer: str, made: object) -> Verdict | None:
        """Check a decision; None if its example was forgotten since."""
        assert self._queue is not None
        if not isinstance(made, dict):
            raise UserError(f"expected a decision as a JSON object, got {short(made)}")
        example_id = made.get("example_id")
        if type(example_id) is not int:
            raise UserError(f"expected a number as example_id, got {short(example_id)}")
        where = f"example {example_id}: expected"
        decision, label = self._decided(made, where)
        decided_at = _time(made.get("decided_at"), where)
        check = self._checks.get(example_id)
        if check is None:
            self._unknown.add(example_id)
            return None
        same = label == check.label
        return Verdict(
            example_id=example_id,
            example=check.example,
            name=check.name,
            label=check.label,
            decision="keep" if same else decision,
            decided_label=None if same else label,
            wrong=check.wrong,
            stratum=check.stratum,
            queue=self._queue.id,
            reviewer=reviewer,
            decided_at=decided_at,
            dataset_version=self._queue.dataset_version,
        )

    def _decided(self, made: Mapping[str, Any], where: str) -> tuple[Decision, int | None]:
        """Return a decision, and the class to relabel to."""
        decision, label = made.get("decision"), made.get("label")
        if decision not in DECISIONS:
            raise UserError(f"{where} one of {', '.join(DECISIONS)}, got {short(decision)}")
        if decision != "relabel":
            if label is not None:
                raise UserError(f"{where} no label with {decision}, got {short(label)}")
            return decision, None
        if not (type(label) is int and 0 <= label < len(self._classes)):
            most = len(self._classes) - 1
            raise UserError(f"{where} a class index from 0 to {most}, got {short(label)}")
        return decision, label

    def _by_index(self, decision: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the name of a class by its index."""
        name, known = decision["label"], [*map(printable, self._classes)]
        if name is None:
            return dict(decision)
        if name not in known:
            where = f"example {decision['example_id']}"
            raise UserError(f"{where}: expected one of the classes, got {short(name)}")
        return {**decision, "label": known.index(name)}


def _reviewer(content: Mapping[str, Any]) -> str:
    name = content.get("reviewer")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise UserError(f"expected a name as reviewer, got {short(name)}")
    return name.strip()


def _time(value: object, where: str) -> datetime:
    """Read a time in ISO 8601; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None:
        raise UserError(f"{where} a time in ISO 8601 as decided_at, got {short(value)}")
    time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    if time > datetime.now(UTC) + _CLOCKS:
        raise UserError(f"{where} a time that has come as decided_at, got {short(value)}")
    return time
