import pytest

from scoring.run_spec import NetSpec, Recipe, Representer, RunSpec
from scoring.runs import record
from scoring.runs.record import identify

VERSIONS = {"train": "a", "test": "b"}
BASE = RunSpec(kind="plain", split="train", net=NetSpec(name="mlp"), recipe=Recipe())


def keys() -> tuple[str, str]:
    about = Representer(layer="last", penalty=0.003)
    rest = RunSpec(
        kind="representer",
        split="train",
        net=BASE.net,
        recipe=BASE.recipe,
        parent=BASE,
        representer=about,
    )
    return identify(BASE, VERSIONS).key, identify(rest, VERSIONS).key


def test_what_made_a_run_is_part_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, rest = keys()
    monkeypatch.setattr(record, "SOLVER_VERSION", record.SOLVER_VERSION + 1)
    assert keys()[0] == trained
    assert keys()[1] != rest
    solved = keys()[1]
    monkeypatch.setattr(record, "LOOP_VERSION", record.LOOP_VERSION + 1)
    assert keys()[0] != trained
    assert keys()[1] == solved
