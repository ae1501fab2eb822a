"""Answers to a human study: files that choosers downloaded from its page.

    {"study": "<32 hex digits>", "set": 3, "chooser": "<32 hex digits>", "picks": [4, 1, ...]}

Sets and picked cells count from 1.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ray_jobs.terminal.say import complain, note
from scoring.analysis.human_picks import Answers
from scoring.analysis.study_design import CELLS
from scoring.data.studies import Study, load_study, study_ids
from scoring.errors import UserError
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage

_LARGEST = 1_000_000  # bytes
_KEY = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class _File:
    """What an answer file says, before it is held against its study."""

    name: str
    """The file, as the user typed it."""
    study: str
    set: int
    chooser: str
    picks: tuple[int, ...]

    @property
    def said(self) -> tuple[object, ...]:
        """What it says, whatever the file is called."""
        return self.study, self.set, self.chooser, self.picks


@dataclass(frozen=True, kw_only=True)
class ReadAnswers:
    """The answers in some files, each chooser's once."""

    dataset: str
    """Name in `scores`."""
    study: Study
    """One of the studies; all are about the same split of the same dataset."""
    answers: Sequence[Answers]


def read_answers(storage: Storage, names: Sequence[str]) -> ReadAnswers:
    """Read and check answer files; all that cannot be used are named, one line each.

    Raises:
        UserError: a file cannot be used; it is about the last of them.
        Damaged: the design of a study is not what was written.
    """
    found: list[_File] = []
    bad: list[UserError] = []
    for name in names:
        try:
            found.append(_parse(name))
        except UserError as error:
            bad.append(error)
    known = sorted({file.study for file in found} & {*study_ids(storage)})
    designs = {study.id: study for study in in_parallel(partial(load_study, storage), known)}
    bad += [UserError(fault) for fault in _faults(found, designs, storage.uri)]
    for error in bad[:-1]:
        complain(str(error))
    if bad:
        raise bad[-1]
    once = list({file.chooser: file for file in found}.values())
    if len(once) < len(found):
        note(f"counted once: {len(found) - len(once)} of {len(found)} files repeat another")
    first = designs[once[0].study]
    return ReadAnswers(
        dataset=first.dataset,
        study=first,
        answers=[
            Answers(
                screens=designs[file.study].sets[file.set - 1], picks=[p - 1 for p in file.picks]
            )
            for file in once
        ],
    )


def _faults(files: Sequence[_File], designs: dict[str, Study], uri: str) -> Iterator[str]:
    """Yield what is wrong with each file, given the designs and the files before it."""
    by_chooser: dict[str, _File] = {}
    about: dict[tuple[str, str], str] = {}
    for file in files:
        fault = _fault(file, designs.get(file.study), uri)
        if fault:
            yield f"--import {file.name}: {fault}"
            continue
        earlier = by_chooser.setdefault(file.chooser, file)
        if earlier.said != file.said:
            yield (
                f"--import {file.name}: expected other answers of a chooser once, got a chooser "
                f"who answered otherwise in {earlier.name}"
            )
        study = designs[file.study]
        about.setdefault((study.dataset, study.split), file.name)
        if len(about) > 1:
            (first, name), *_ = about.items()
            yield (
                f"--import {file.name}: expected answers about {' '.join(first)}, as in {name}, "
                f"got some about {study.dataset} {study.split}"
            )
            return


def _fault(file: _File, study: Study | None, uri: str) -> str:
    """Say what in a file does not fit its study; "" if all does."""
    if study is None:
        return f"expected answers to a study of {uri}, got those to study {file.study}"
    if not 1 <= file.set <= len(study.sets):
        return f"expected a set from 1 to {len(study.sets)}, got {file.set}"
    screens = len(study.sets[file.set - 1])
    if len(file.picks) != screens:
        return f"expected {screens} picks, got {len(file.picks)}"
    return ""


def _parse(name: str) -> _File:
    """Read a file and check it as far as that goes without its study.

    Raises:
        UserError: it is none that the page of a study wrote.
    """
    content = _read(name)
    study, set_, chooser, picks = (content.get(k) for k in ("study", "set", "chooser", "picks"))
    for key, value in (("study", study), ("chooser", chooser)):
        if not (isinstance(value, str) and _KEY.fullmatch(value)):
            raise UserError(
                f"--import {name}: expected 32 hex digits as {key}, got {_short(value)}"
            )
    if type(set_) is not int:
        raise UserError(f"--import {name}: expected a number as set, got {_short(set_)}")
    if not isinstance(picks, list):
        raise UserError(f"--import {name}: expected a list of picks, got {_short(picks)}")
    for pick in picks:
        if type(pick) is not int or not 1 <= pick <= CELLS:
            raise UserError(
                f"--import {name}: expected picks from 1 to {CELLS}, got {_short(pick)}"
            )
    return _File(name=name, study=study, set=set_, chooser=chooser, picks=tuple(picks))


def _read(name: str) -> dict[str, Any]:
    """Read the JSON object that a file holds."""
    path = Path(name).expanduser()
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"--import {name}: expected a file, got something else")
        if path.stat().st_size > _LARGEST:
            raise UserError(f"--import {name}: expected a file of at most 1 MB, got a larger one")
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UserError(f"--import {name}: expected a file to read, got none ({why})") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a path with a zero byte
        raise UserError(
            f"--import {name}: expected the JSON file of a study's page, got something else"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"--import {name}: expected a JSON object, got {_short(content)}")
    return content


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
