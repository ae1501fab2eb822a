"""Credentials on a command line: no byte of them in the store, in what is printed or written."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Rescore
from report_store import METRICS, publish_scores, shapes, write_dataset
from s3_store import SECRET as S3_SECRET
from small_plans import SMALL

from ray_jobs.cli import main
from ray_jobs.terminal.console import command_line
from scoring.logs import logger
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import Store

SECRET = "wJalrXUtnFEMI"
PARTS = ("wJalr", "FEMI")
IN_URIS = (
    f"s3://AKIAEXAMPLE:{SECRET}@bucket/x",
    "s3://AKIAEXAMPLE:wJalr/FEMI@bucket/x",
    f"https://host/x.parquet?X-Amz-Signature={SECRET}&X-Amz-Credential={SECRET}",
    f"https://account.blob.example/c/x.parquet?sig={SECRET}",
    f"https://{SECRET}@host/x.parquet",
)
Said = Callable[..., str]


def leaks(folder: Path) -> list[Path]:
    """Return the files with a secret in their bytes or names."""
    found = []
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if any(part.encode() in data or part in path.name for part in PARTS):
            found.append(path)
    return found


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Run a command in an empty folder; returns everything it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROTOSCORE_STORE", str(tmp_path / "store"))

    def run(*command: str, code: int = 0) -> str:
        assert main([*command]) == code
        out, err = capsys.readouterr()
        assert not any(part in out + err for part in PARTS), out + err
        return out + err

    return run


@pytest.mark.parametrize("uri", IN_URIS)
@pytest.mark.parametrize("command", ["rescore", "plan", "ingest"])
def test_sources_with_credentials_are_refused(
    said: Said, tmp_path: Path, command: str, uri: str
) -> None:
    parquet = (command, "--dataset", "parquet")
    folder = (command, "--dataset", "image_folder")
    for flags, flag in (
        ((*parquet, "--train", uri, "--test", "x"), "--train"),
        ((*parquet, "--train", "x", "--test", uri), "--test"),
        ((*folder, "--data-root", uri), "--data-root"),
        *([] if command == "ingest" else [((command, "--import-runs", uri), "--import-runs")]),
    ):
        refusal = said(*flags, code=2)
        assert refusal.startswith(f"protoscore: error: {flag}: expected credentials in the env")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("uri", IN_URIS)
@pytest.mark.parametrize(
    "command",
    [
        "rescore --store",
        "plan --store",
        "ingest --store",
        "query sql --store",
        "outliers --metric conf --store",
        "diff --from 1 --store",
        "history --store",
        "status --store",
        "vacuum --store",
        "verify --store",
        "adopt --store",
        "explain --store",
        "export --to csv --store",
        "report --store",
        "report --output",
        "evaluate deciles --store",
        "evaluate toy --store",
        "submit --address http://127.0.0.1:1 rescore --store",
    ],
)
def test_stores_with_credentials_are_refused(
    said: Said, tmp_path: Path, command: str, uri: str
) -> None:
    assert "expected credentials in the " in said(*command.split(), uri, code=2)
    assert not list(tmp_path.iterdir())


def test_nothing_of_a_night_holds_them(rescore: Rescore, said: Said, tmp_path: Path) -> None:
    """The address of a cluster is neither a store nor a source; commands record it."""
    store, secret = str(tmp_path / "store"), ("--address", f"http://me:{SECRET}@head:6379")
    night = ("--summary", str(tmp_path / "summary.json"), "--metrics", "msp")
    said("ingest", *SMALL, *secret)
    assert rescore(*SMALL, *night, *secret, store=store) == 0
    said("explain", "--ids", "0", "--batch-rows", "50", *secret)
    flags = ("--tests", "10", "--lambdas", "0.01", "--batch-rows", "50")
    said("evaluate", "representers", *flags, *secret)
    assert "--address 'http://***@head:6379'" in said("history", "--format", "csv")
    said("status")
    said("report")
    said("export", "--to", "csv")
    commands = Store(store).evaluations()["command"].to_pylist()
    assert all("http://***@head:6379" in command for command in commands)
    assert len(list((tmp_path / "store" / "jobs").iterdir())) == 4
    assert not leaks(tmp_path)


def test_commands_of_an_earlier_protoscore_are_shown_without_them(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("report_store.COMMAND", f"protoscore rescore --train {IN_URIS[0]}")
    publish_shapes(str(tmp_path / "store"))
    assert "s3://***@bucket/x" in said("history")
    said("report")
    assert "s3://***@bucket/x" in (tmp_path / "report" / "index.html").read_text()
    assert not leaks(tmp_path / "report")


def publish_shapes(uri: str) -> None:
    storage, examples = Storage(uri), {"train": shapes(30, 2), "test": shapes(20, 2)}
    ensure_marked(storage)
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples, METRICS)


@pytest.mark.s3
def test_nothing_shows_the_credentials_of_an_s3_store(
    s3_store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    publish_shapes(s3_store)
    monkeypatch.setenv("PROTOSCORE_STORE", s3_store)
    monkeypatch.chdir(tmp_path)
    for command in ("report", "export --to csv", "history", "status", "evaluate deciles"):
        assert main(command.split()) == 0
    assert main(["query", "select nothing from nowhere"]) == 2
    assert main(["report", "--store", f"{s3_store}-nowhere"]) == 2
    out, err = capfd.readouterr()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    stored = [Storage(s3_store).read(file.path) for file in Storage(s3_store).walk("")]
    assert stored
    assert not any(S3_SECRET.encode() in data for data in (*written, *stored))
    assert S3_SECRET not in out + err


def test_a_command_is_recorded_without_them() -> None:
    recorded = command_line("rescore", ["--train", IN_URIS[1], f"--test={IN_URIS[3]}"])
    assert recorded == (
        "protoscore rescore --train 's3://***@bucket/x' "
        "'--test=https://account.blob.example/c/x.parquet?***'"
    )


def test_a_traceback_does_not_hold_them() -> None:
    code = (
        "from ray_jobs.terminal.console import run_job\n"
        f"def main(argv): raise RuntimeError('no answer from {IN_URIS[1]}\\x1b[31m')\n"
        "run_job(main, [])"
    )
    debug = {**os.environ, "PROTOSCORE_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=debug
    )
    assert done.returncode == 1
    assert r"RuntimeError: no answer from s3://***@bucket/x\x1b[31m" in done.stderr
    assert not any(part in done.stderr for part in PARTS)


def test_a_log_does_not_hold_them(caplog: pytest.LogCaptureFixture) -> None:
    log = logger("ray_jobs.tested")
    try:
        raise RuntimeError(IN_URIS[0])
    except RuntimeError:
        log.exception("run failed: %s", f"{IN_URIS[2]}\n\x1b[31m")
    text = logging.Formatter("%(message)s").format(caplog.records[-1])
    assert "Traceback" in text
    assert r"\x1b[31m" in text
    assert not any(part in text for part in PARTS)
