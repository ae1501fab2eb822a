"""The digits job as the README submits it: to a cluster that asks for a token, into an S3 store."""

import csv
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars
import pytest
from ray_head import Head, running_head
from s3_store import KEY, SECRET, Gateway
from score_tables import reader_options

from scoring.registry import metrics
from scoring.store.storage import Storage
from scoring.tables import Store

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.s3, pytest.mark.timeout(600)]
CHECKOUT = Path(__file__).parents[3]
SIZES = {"train": 1437, "test": 360}


@pytest.fixture(scope="module")
def head(s3_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """Jobs get the store's credentials from the cluster's environment, not from who submits."""
    folder = tmp_path_factory.mktemp("head")
    with running_head(folder, cpus=2, environment=s3_gateway.environment) as head:
        yield head


def run(head: Head, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    without_keys = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "RAY_"))}
    return subprocess.run(
        command,
        env={**without_keys, **head.environment, **environment},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


@contextmanager
def watching(address: str) -> Iterator[set[str]]:
    """Our counters that a node exports meanwhile, as name{tag="value"}, by their second tag."""
    seen: set[str] = set()
    ended = threading.Event()
    line = re.compile(r"^ray_protoscore_(units|examples|passes)(?:_total)?{(.*)} ", re.MULTILINE)

    def watch() -> None:
        while not ended.wait(0.5):
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                for name, tags in line.findall(answer.read().decode()):
                    for tag in re.findall(r'(?:stage|metric|direction)="\w+"', tags):
                        seen.add(f"{name}{{{tag}}}")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def submit(head: Head, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ray_jobs.cli", "submit", "--address", head.address]
    return run(head, *command, *arguments, **environment)


def here(*arguments: str) -> str:
    """A command of this machine's, which has the store's environment too."""
    command = [sys.executable, "-m", "ray_jobs.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return done.stdout


def where_secrets_are(head: Head, store: str, printed: str) -> list[str]:
    """What was printed, which of Ray's logs, which files, keys or tables hold a credential."""
    storage = Storage(store)
    files = [file.path for file in storage.walk("")]
    assert any(path.endswith(".safetensors") for path in files)
    texts = dict(zip(files, storage.read_all(files), strict=True))
    logs = [path for path in (head.logs / "session_latest" / "logs").rglob("*") if path.is_file()]
    assert len(logs) > 10
    texts |= {str(path): path.read_bytes() for path in logs}
    texts |= {"printed": printed.encode(), "keys": "\n".join(files).encode()}
    tables = Store(store)
    for view in ("scores", "nights", "runs"):  # they are compressed on disk
        texts[view] = str(tables.sql(f"select * from {view}").to_pydict()).encode()
    secrets = {"key": KEY, "secret": SECRET, "token": head.token}
    return [
        f"{name} in {place}"
        for place, text in texts.items()
        for name, secret in secrets.items()
        if secret.encode() in text
    ]


def test_the_digits_job_end_to_end(head: Head, s3_store: str, tmp_path: Path) -> None:
    job = ("rescore", "--dataset", "digits", "--store", s3_store, "--recipe", "smoke")
    with watching(head.metrics) as counted:
        done = submit(head, "--working-dir", ".", *job)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"submitted rescore-\w{12}-\d{4}-\d\d-\d\d-1\n", done.stdout)
    assert re.search(r"train: 26/26 runs, [\d.]+/s, elapsed \d+:\d\d, ETA 0:00", done.stdout)
    rows = len(metrics()) * sum(SIZES.values())
    assert f"Published {2 * len(metrics())} partitions of digits, {rows:,} rows" in done.stdout
    assert "\r" not in done.stdout  # plain lines, no bars
    assert {'units{stage="ingest"}', 'units{stage="train"}', 'units{stage="score"}'} <= counted
    assert {f'examples{{metric="{name}"}}' for name in metrics()} <= counted
    assert {'passes{direction="forward"}', 'passes{direction="backward"}'} <= counted

    counts = "select metric, split, count(distinct example_id) as n from scores group by all"
    rows = csv.reader(here("query", counts, "--store", s3_store, "--format", "csv").splitlines())
    want = [[name, split, str(n)] for name in metrics() for split, n in SIZES.items()]
    assert sorted(rows) == sorted([["metric", "split", "n"], *want])
    frame = polars.scan_delta(
        f"{s3_store}/tables/scores", storage_options=reader_options(s3_store)
    ).collect()
    assert frame.height == len(metrics()) * sum(SIZES.values())
    assert where_secrets_are(head, s3_store, done.stdout + done.stderr) == []
    status = here("status", "--store", s3_store, "--format", "json")
    assert '"published"' in status

    # The lock: the same command on the same day is that attempt again.
    again = submit(head, "--working-dir", ".", *job)
    assert again.returncode == 0
    assert "has succeeded; --again makes a new attempt" in again.stdout
    new = submit(head, "--working-dir", ".", "--again", *job)
    assert "Nothing to do" in new.stdout
    assert re.search(r"submitted rescore-\w{12}-[\d-]{10}-2\n", new.stdout)
    plain = run(
        head,
        *("ray", "job", "submit", "--address", head.address, "--working-dir", "."),
        *("--", "python", "-m", "ray_jobs.rescore", *job[1:]),
    )
    assert plain.returncode == 0, plain.stderr[-2000:]
    assert "Nothing to do" in plain.stdout


def test_the_jobs_own_exit_code_comes_back(head: Head, s3_store: str) -> None:
    job = ("rescore", "--store", s3_store, "--metrics", "nosuch")
    done = submit(head, "--working-dir", ".", *job)
    assert done.returncode == 2
    assert "expected one of" in done.stdout
    # The attempt failed, so the next one is a new one.
    assert re.search(r"submitted \S+-2\n", submit(head, "--working-dir", ".", *job).stdout)


def test_a_wrong_token_is_refused_in_one_line(head: Head) -> None:
    job = ("rescore", "--store", "s3://any/where")
    for wrong in (
        {"RAY_AUTH_TOKEN": "0" * 64, "RAY_AUTH_TOKEN_PATH": ""},
        {"RAY_AUTH_MODE": "disabled"},
    ):
        done = submit(head, *job, **wrong)
        assert done.returncode == 2
        assert done.stderr.startswith("protoscore: error: --address")
        assert "expected the cluster's token" in done.stderr
        assert len(done.stderr.splitlines()) == 1
