"""Simulated choosers of a human study, and the files that they send."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scoring.data.studies import Screen, Study, load_study, study_ids
from scoring.store.storage import Storage

Taste = Callable[[Screen], int]
"""The cell that a chooser picks on a screen, from 0."""


def only_study(uri: str) -> Study:
    """Return the study of a store that has one."""
    (study,) = study_ids(Storage(uri))
    return load_study(Storage(uri), study)


def by_value(typical: Mapping[int, float]) -> Taste:
    """Pick the most typical image as the best, the least typical one as the worst."""

    def pick(screen: Screen) -> int:
        values = [typical[i] for i in screen.shown]
        return int(np.argmax(values) if screen.question == "best" else np.argmin(values))

    return pick


def at_random(seed: int) -> Taste:
    """Pick any image."""
    random = np.random.default_rng(seed)
    return lambda screen: int(random.integers(len(screen.shown)))


def attentive(taste: Taste) -> Taste:
    """Answer gold questions rightly, and others by taste."""
    return lambda screen: taste(screen) if screen.gold is None else screen.gold


def answers(study: Study, set_: int, taste: Taste, chooser: int = 0) -> dict[str, Any]:
    """Return what the page writes when someone has answered a set, counted from 1."""
    picks = [taste(screen) + 1 for screen in study.sets[set_ - 1]]
    return {"study": study.id, "set": set_, "chooser": f"{chooser:032x}", "picks": picks}


def write_answers(folder: Path, content: Any, name: str = "") -> str:
    """Write an answer file and return its path."""
    path = folder / (name or f"answers-{len([*folder.iterdir()])}.json")
    path.write_text(json.dumps(content))
    return str(path)
