"""A tiny store with every kind of file, and ways to damage them."""

import io
import json
import os
import random
import shutil
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from deltalake import DeltaTable
from review_store import decisions, only_queue, write_file
from safetensors.torch import save_file

from ray_jobs.cli import main
from ray_jobs.night import run as night
from scoring.data.versions import load_training_set, load_version
from scoring.errors import IncompleteError, OutOfTime
from scoring.nets import build
from scoring.run_spec import NetSpec
from scoring.runs.record import Run, load_record
from scoring.runs.train_one import train_run
from scoring.store.storage import Storage

DIGITS = ("--dataset", "digits", "--limit-train", "60", "--limit-test", "30", "--shard-rows", "30")
DIGITS += ("--recipe", "smoke", "--batch-rows", "30")
FIRST = ("--metrics", "conf", "el2n")
SECOND = ("--metrics", "conf", "el2n", "label_conf", "label_margin")
SECOND += ("forgetting", "representer_self", "fleet_aum")
SHOWN = ("--dataset", "digits")  # of the two datasets that are published

KINDS = {
    "mark": "protoscore.json",
    "version": "datasets/digits/train/*[0-9a-f].json",
    "version copy": "datasets/digits/train/*.copy.json",
    "receipt": "datasets/digits/receipts/*.json",
    "layout": "datasets/digits/layouts/*.json",
    "shard": "datasets/digits/shards/*.parquet",
    "correction": "datasets/digits/corrections/*[0-9a-f].json",
    "correction copy": "datasets/digits/corrections/*.copy.json",
    "import": "imports/*.safetensors",
    "run.json": "runs/{base}/run.json",
    "model": "runs/{base}/model.safetensors",
    "epoch": "runs/{base}/checkpoints/epoch-0002.safetensors",
    "training": "runs/*/training.safetensors",
    "tally": "runs/*/epochs.parquet",
    "layer": "runs/{layer}/layer.safetensors",
    "layer.json": "runs/{layer}/layer.json",
    "logits": "outputs/*/*.parquet",
    "features": "features/{base}/last/*.parquet",
    "staged scores": "staging/label_margin/*.parquet",
    "staged predictions": "staging/predicted/*.parquet",
    "staged explanations": "explanations/{explained}/*.parquet",
    "scores": "tables/scores/dataset=digits/split=test/metric=conf/*.parquet",
    "nights": "tables/nights/*.parquet",
    "runs": "tables/runs/*.parquet",
    "evaluations": "tables/evaluations/dataset=digits/evaluation=classes_train/*.parquet",
    "probabilities": "tables/probabilities/dataset=digits/split=train/*.parquet",
    "issues": "tables/issues/dataset=digits/split=train/*.parquet",
    "verdicts": "tables/verdicts/dataset=digits/*/*.parquet",
    "representers": "tables/representers/dataset=digits/split=test/*/*.parquet",
    "manifest": "tables/manifests/*[0-9a-f].json",
    "manifest copy": "tables/manifests/*.copy.json",
    "night record": "nights/*.json",
    "review": "reviews/*[0-9a-f].json",
    "review copy": "reviews/*.copy.json",
    "job record": "jobs/*.json",
    "log entry": "tables/scores/_delta_log/*.json",
    "old log entry": "tables/scores/_delta_log/*1.json",
    "log of nights": "tables/nights/_delta_log/*.json",
    "log of representers": "tables/representers/_delta_log/*.json",
}
"""A pattern for each kind; of the files that match, the last one by name is damaged."""
WAYS = ("truncated", "garbled", "missing")

SCORES = "select * exclude (scored_at) from scores order by all"
JSON = ("--format", "json")
TABLES = ("nights", "runs", "representers", "evaluations", "probabilities", "issues", "verdicts")
READERS: dict[str, tuple[str, ...]] = {
    "query": ("query", SCORES, *JSON),
    **{f"query {name}": ("query", f"select * from {name} order by all", *JSON) for name in TABLES},
    "outliers": ("outliers", "--metric", "conf", *SHOWN, *JSON),
    "history": ("history", *JSON),
    "diff": ("diff", "--from", "1", *SHOWN, "--show", "metrics", *JSON),
    "report": ("report", *SHOWN, "--output", "OUT"),
    "export": ("export", "--to", "csv", *SHOWN, "--output", "OUT"),
    "status": ("status",),
    "plan": ("plan", *DIGITS, *SECOND),
    "vacuum --dry-run": ("vacuum", "--dry-run"),
    "verify": ("verify",),
}
WRITERS: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", *DIGITS[:8]),
    "explain": ("explain", *SHOWN, "--ids", "2", "3", "--page", "OUT"),
    "evaluate": ("evaluate", "classes", *SHOWN),
    "vacuum": ("vacuum", "--older-than-days", "0"),
    "verify --mend": ("verify", "--mend"),
    "rescore": ("rescore", *DIGITS, *SECOND),
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command did."""

    code: int
    """Exit code; -1 if it raised."""
    out: str
    err: str

    @property
    def is_plain(self) -> bool:
        """Whether it refused as it should: one line, and a code that says why."""
        lines = [line for line in self.err.splitlines() if line.startswith("protoscore: error: ")]
        return self.code in (2, 5) and len(lines) == 1 and "Traceback" not in self.err


def say(*args: str) -> Said:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(list(args))
        except Exception:
            code = -1
            traceback.print_exc()
    return Said(code=code, out=out.getvalue(), err=err.getvalue())


def succeed(*args: str) -> Said:
    """Run a command that must succeed."""
    said = say(*args)
    assert said.code == 0, (args, said)
    return said


def rescore(store: Path, *flags: str) -> Said:
    """Score digits."""
    return say("rescore", "--store", str(store), *DIGITS, *(flags or SECOND))


def build_interrupted(store: Path, patch: pytest.MonkeyPatch) -> None:
    """Build a store with one published night, and one that died before its commit.

    The scores by three of its metrics are not staged yet, and a run is half trained.
    """
    succeed("ingest", "--store", str(store), *DIGITS[:8])
    corrections = store.with_name("corrections.csv")
    corrections.write_text("id,split,label\n3,train,7\n4,train,exclude\n")
    assert rescore(store, *FIRST, "--corrections", str(corrections)).code == 0

    def stop(*_: object) -> None:
        raise IncompleteError("stopped")

    with patch.context() as patched:
        patched.setattr(night, "publish_night", stop)
        assert rescore(store).code == 4
    for metric in ("label_conf", "forgetting", "representer_self", "fleet_aum"):
        shutil.rmtree(store / "staging" / metric)
    _leave_half_trained(store)


def build_published(store: Path, interrupted: Path) -> None:
    """Finish an interrupted night; then import a run, explain, evaluate and review."""
    copy(interrupted, store)
    assert rescore(store).code == 0
    succeed("rescore", "--store", str(store), *DIGITS, *_imported(store.parent))
    succeed("explain", "--store", str(store), *SHOWN)
    succeed("evaluate", "classes", "--store", str(store), *SHOWN)
    page = str(store.with_name("review"))
    succeed("review", "--store", str(store), *SHOWN, "--checks", "10", "--output", page)
    decided = write_file(store.parent, decisions(only_queue(str(store))))
    succeed("review", "--store", str(store), "--import", decided)


def _imported(folder: Path) -> list[str]:
    """Write a manifest of one run made elsewhere; return the flags that use it."""
    torch.manual_seed(0)
    net = build(NetSpec(name="mlp"), shape=(8, 8, 1), classes=10).net
    save_file(net.state_dict(), folder / "mlp.safetensors")
    runs = [{"weights": "mlp.safetensors", "net": "mlp", "role": "base"}]
    (folder / "runs.json").write_text(json.dumps({"runs": runs}))
    return ["--import-runs", str(folder / "runs.json"), "--metrics", "msp", "--as", "imported"]


def _leave_half_trained(store: Path) -> None:
    """Take a run of the ensemble back to its first epoch, as if its training had been stopped."""
    storage = Storage(str(store))
    key = ensemble(store)[-1]
    record = load_record(storage, key)
    shutil.rmtree(store / "runs" / key)
    shutil.rmtree(store / "outputs" / key)
    version = load_version(storage, "digits", "train", record.versions["train"])
    data = {"train": load_training_set(storage, version)}
    run = Run(spec=record.spec, key=key)
    with pytest.raises(OutOfTime):
        train_run(storage, run, record.versions, data, is_over=lambda: True)


def ensemble(store: Path) -> list[str]:
    """Keys of the runs of the ensemble, sorted."""
    records = sorted((store / "runs").glob("*/run.json"))
    return [
        path.parent.name for path in records if "left_out" in json.loads(path.read_text())["spec"]
    ]


def find(store: Path, kind: str) -> Path | None:
    """Return the file of a kind that is to be damaged; None if the store has none."""
    with_layer = sorted(path.parent.name for path in store.glob("runs/*/layer.json"))
    explained = sorted(path.name for path in store.glob("explanations/*"))
    of_metrics = [run for run in with_layer if run not in explained]
    keys = {
        "base": next((p.parents[1].name for p in store.glob("runs/*/checkpoints/*")), "-"),
        "layer": (of_metrics or ["-"])[0],
        "explained": (explained or ["-"])[0],
    }
    found = sorted(p for p in store.glob(KINDS[kind].format(**keys)) if _is_listed(store, p))
    return found[-1] if found else None


def _is_listed(store: Path, file: Path) -> bool:
    """Whether a file is not a data file that its table has replaced."""
    table = store.joinpath(*file.relative_to(store).parts[:2])
    is_data = file.suffix == ".parquet" and table.parent.name == "tables"
    return not is_data or str(file) in DeltaTable(table).file_uris()


def copy(store: Path, to: Path) -> None:
    """Copy a store by hard links: its files are only ever replaced, never written to."""
    shutil.copytree(store, to, copy_function=os.link)


def damage(file: Path, way: str) -> None:
    """Damage a file in one of `WAYS`."""
    data = file.read_bytes()
    file.unlink()
    if way == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif way == "garbled":
        file.write_bytes(random.Random(0).randbytes(len(data)))


def flip(file: Path, bit: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.unlink()
    file.write_bytes(data)


def some_bits(file: Path, count: int) -> list[int]:
    """Choose bits of a file, the same ones each time."""
    return random.Random(file.suffix).sample(range(8 * file.stat().st_size), count)


def json_rows(said: Said) -> Any:
    """Return the rows that a command printed as JSON."""
    return json.loads(said.out)
