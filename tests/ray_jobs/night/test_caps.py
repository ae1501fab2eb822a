"""Nights that reach a cap on GPU-hours or dollars: they end as nights out of hours do."""

from pathlib import Path

import in_process
import pytest
from small_plans import SMALL

from scoring.tables import Store

CAPS = {
    "gpu-hours": (("--max-gpu-hours", "1"), "--max-gpu-hours: 1 GPU-hours ran out"),
    "usd": (("--max-usd", "2", "--usd-per-gpu-hour", "2"), "--max-usd: 2 USD ran out"),
    "usd of cpus": (("--max-usd", "2", "--usd-per-cpu-hour", "0.1"), "--max-usd: 2 USD ran out"),
}
FLAGS = (*SMALL, "--metrics", "msp", "gradient_norm")


@pytest.fixture(params=CAPS)
def cap(request):
    """Flags that cap a night, and what the night says when it reaches the cap."""
    return CAPS[request.param]


@pytest.fixture
def grow_after(monkeypatch):
    """Let the cluster grow beyond all bounds when a stage of the engine ends."""

    def grow(stage):
        work = getattr(in_process.InProcessEngine, stage)

        def last(self, *args, **kwargs):
            done = work(self, *args, **kwargs)
            self.meter.count(1e12, 1e12)
            return done

        monkeypatch.setattr(in_process.InProcessEngine, stage, last)

    return grow


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def made(store, pattern):
    return list(Path(store.uri).glob(pattern))


def rows(store):
    table = store.scores().drop_columns(["scored_at"])
    return table.sort_by([(c, "ascending") for c in ("split", "metric", "example_id")])


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("make_shards", " with 0 of 1 runs trained; nothing was published"),
        ("train", "; nothing was published"),
    ],
)
def test_a_night_over_its_cap_begins_nothing_and_the_next_goes_on(
    rescore, store, grow_after, monkeypatch, capsys, tmp_path, cap, stage, said
):
    flags, reason = cap
    with monkeypatch.context():
        grow_after(stage)
        assert rescore(*FLAGS, *flags) == 4
    assert capsys.readouterr().err.splitlines()[-1] == f"protoscore: error: {reason}{said}"
    assert len(made(store, "runs/*/run.json")) == (stage == "train")
    assert made(store, "staging/*/*") == []
    monkeypatch.undo()
    assert rescore(*FLAGS, *flags) == 0
    assert rescore(*FLAGS, store=tmp_path / "undisturbed") == 0
    assert rows(store).equals(rows(Store(str(tmp_path / "undisturbed"))))


def test_a_night_over_its_cap_publishes_what_is_complete(rescore, store, monkeypatch, capsys, cap):
    flags, _ = cap
    assert rescore(*SMALL, "--metrics", "msp", "--as", "before") == 0
    monkeypatch.setattr(in_process.InProcessEngine, "gpus", 1.0)
    assert rescore(*FLAGS, flags[0], "1e-12", *flags[2:]) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"protoscore: error: {flags[0]}: 1e-12 ")
    assert said.endswith("; not published: gradient_norm; run the same command again to go on")
    found = store.sql("select distinct metric from scores where dataset = 'digits'")
    assert found["metric"].to_pylist() == ["msp"]


def test_a_night_below_its_caps_is_not_disturbed(rescore, store):
    caps = ("--max-gpu-hours", "1", "--max-usd", "1", "--usd-per-cpu-hour", "0.01")
    assert rescore(*FLAGS, *caps) == 0
    assert len(store.sql("from nights")) == 1
