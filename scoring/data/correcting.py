"""From what a user wants corrected to corrections: looked up in the store, all of it or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scoring.data.corrections import Correction, in_force, pending
from scoring.data.ingest import Survey
from scoring.data.wanted_examples import Examples, NotFound, Place, Row, Wanted
from scoring.errors import UserError
from scoring.store.keys import SPLITS, Split
from scoring.store.storage import Storage

EXCLUDE = "exclude"
"""Instead of a class: leave the example out of training and of rankings."""
GIVEN = "given"
"""Instead of a class: withdraw an earlier correction."""
_SHOWN = 10
_MOST_MISTAKES = 20


@dataclass(frozen=True, kw_only=True)
class Wish(Wanted):
    """A label that somebody wants for an example: a line of a file, or a verdict."""

    where: str
    """What it is called in a message, such as "line 3"."""
    label: int | str
    """Name or index of a class, `EXCLUDE` or `GIVEN`; a class of that name comes first."""


class Mistakes(UserError):
    """Wishes that cannot be fulfilled."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = tuple(lines)
        """What is wrong, a line for each."""


class _Mistake(Exception):
    pass


def corrections_for(
    storage: Storage, surveys: Mapping[Split, Survey], wishes: Sequence[Wish]
) -> tuple[Correction, ...]:
    """Return what has to change so that every wish is in force.

    Args:
        storage: the store.
        surveys: both splits, compared with the store.
        wishes: at most one for each example.

    Raises:
        Mistakes: an unknown example or class, an example that the source has no more, or two wishes
            for one example.
    """
    examples = Examples(storage, surveys, {w.name for w in wishes if w.example_id is None})
    found: dict[Place, tuple[Wish, str | None, bool]] = {}
    mistakes: list[str] = []
    for wish in wishes:
        if len(mistakes) == _MOST_MISTAKES:
            break
        try:
            example = examples.find(wish)
            if example in found:
                first = found[example][0].where
                raise _Mistake(f"expected each example once, got that of {first} again")
            found[example] = wish, *_label(wish.label, surveys["train"].layout.classes)
        except (NotFound, _Mistake) as mistake:
            mistakes.append(f"{wish.where}: {mistake}")
    if mistakes:
        raise Mistakes(mistakes)
    wanted = (
        _correction(row, *found[row.split, row.example_id][1:]) for row in examples.rows([*found])
    )
    return tuple(pending(storage, surveys["train"].name, wanted))


def all_withdrawn(storage: Storage, dataset: str) -> tuple[Correction, ...]:
    """Return what has to change so that every label is the source's again."""
    now = in_force(storage, dataset)
    return tuple(c.withdraw() for split in SPLITS for c in now[split])


def _label(wanted: int | str, classes: Sequence[str]) -> tuple[str | None, bool]:
    """Return the class and whether to exclude; neither: as given."""
    for name in (wanted, str(wanted).removeprefix("'")):  # as an export protects spreadsheets
        if isinstance(wanted, str) and name in classes:
            return str(name), False
    if wanted in (EXCLUDE, GIVEN):
        return None, wanted == EXCLUDE
    index = int(wanted) if str(wanted).isdecimal() else -1
    if 0 <= index < len(classes):
        return classes[index], False
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    known = f"{', '.join(classes[:_SHOWN])}{more}"
    raise _Mistake(f"expected a class ({known}), {EXCLUDE} or {GIVEN}, got {wanted!r}")


def _correction(row: Row, label: str | None, excluded: bool) -> Correction:
    """Return a correction; a label that the source gives anyway is none."""
    return Correction(
        split=row.split,
        example_id=row.example_id,
        example=row.example,
        label=None if label == row.given else label,
        excluded=excluded,
    )
