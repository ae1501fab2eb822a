"""Answers to a human study: files that choosers downloaded from its page.

    {"study": "<32 hex digits>", "set": 3, "chooser": "<32 hex digits>", "picks": [4, 1, ...]}

Sets and picked cells count from 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_jobs.evaluations.answer_files import key_in, load_json, read_each, short
from ray_jobs.terminal.say import note
from scoring.analysis.human_picks import Answers
from scoring.analysis.study_design import CELLS
from scoring.data.studies import Study, load_study
from scoring.errors import UserError
from scoring.store.keys import Split
from scoring.store.storage import Storage

_LARGEST_MB = 1


@dataclass(frozen=True, kw_only=True)
class AnswerFiles:
    """The answers in some files, each chooser's once; all are about one split of a dataset."""

    dataset: str
    """Name in `scores`."""
    split: Split
    answers: Sequence[Answers]


def read_answers(storage: Storage, names: Sequence[str]) -> AnswerFiles:
    """Read and check answer files; all that cannot be used are named, one line each.

    Raises:
        UserError: a file cannot be used; it is about the last of them.
        Damaged: the design of a study is not what was written.
    """
    reading = _Reading(storage)
    read_each(names, reading.add)
    return reading.result()


@dataclass(frozen=True, kw_only=True)
class _Content:
    """What an answer file says."""

    study: str
    set: int
    chooser: str
    picks: tuple[int, ...]


class _Reading:
    """Files read so far. Its errors do not name the file."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._designs: dict[str, Study] = {}
        self._contents: dict[str, _Content] = {}
        self._files: dict[str, str] = {}
        self._repeated = 0

    def add(self, name: str) -> None:
        content = _parse(_object(load_json(name, _LARGEST_MB, "study")))
        study = self._design(content.study)
        if not 1 <= content.set <= len(study.sets):
            raise UserError(f"expected a set from 1 to {len(study.sets)}, got {content.set}")
        screens = len(study.sets[content.set - 1])
        if len(content.picks) != screens:
            raise UserError(f"expected {screens} picks, got {len(content.picks)}")
        first = next(iter(self._contents.values()), content)
        wanted, got = (_subject(self._designs[c.study]) for c in (first, content))
        if got != wanted:
            raise UserError(f"expected answers about {wanted} as in the others, got {got}")
        earlier = self._contents.setdefault(content.chooser, content)
        file = self._files.setdefault(content.chooser, name)
        if earlier != content:
            raise UserError(f"expected one file of each chooser, got other answers than in {file}")
        self._repeated += earlier is not content

    def result(self) -> AnswerFiles:
        if self._repeated:
            note(f"files that repeat the answers of another, and do not count: {self._repeated}")
        contents = list(self._contents.values())
        study = self._designs[contents[0].study]
        return AnswerFiles(
            dataset=study.dataset, split=study.split, answers=[*map(self._answers, contents)]
        )

    def _design(self, study: str) -> Study:
        if study not in self._designs:
            try:
                self._designs[study] = load_study(self._storage, study)
            except FileNotFoundError:
                uri = self._storage.uri
                raise UserError(f"expected answers to a study of {uri}, got {study}") from None
        return self._designs[study]

    def _answers(self, content: _Content) -> Answers:
        screens = self._designs[content.study].sets[content.set - 1]
        return Answers(screens=screens, picks=[cell - 1 for cell in content.picks])


def _subject(study: Study) -> str:
    return f"{study.dataset} {study.split}"


def _parse(content: Mapping[str, Any]) -> _Content:
    """Check an answer file as far as that goes without its study.

    Raises:
        UserError: it is none that the page of a study wrote.
    """
    set_, picks = content.get("set"), content.get("picks")
    if type(set_) is not int:
        raise UserError(f"expected a number as set, got {short(set_)}")
    if not isinstance(picks, list):
        raise UserError(f"expected a list of picks, got {short(picks)}")
    for pick in picks:
        if type(pick) is not int or not 1 <= pick <= CELLS:
            raise UserError(f"expected picks from 1 to {CELLS}, got {short(pick)}")
    study, chooser = key_in(content, "study"), key_in(content, "chooser")
    return _Content(study=study, set=set_, chooser=chooser, picks=tuple(picks))


def _object(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UserError(f"expected a JSON object, got {short(content)}")
    return content
