"""The digits job against a real S3 store, read back with protoscore and with Polars."""

import csv
import os
import subprocess
import sys

import polars
import pytest

from scoring.registry import metrics
from scoring.storage import delta_options

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.s3, pytest.mark.timeout(600)]


def protoscore(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ray_jobs.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    assert secret not in done.stdout + done.stderr
    return done.stdout


def test_the_digits_job_end_to_end(s3_store: str) -> None:
    printed = protoscore("rescore", "--dataset", "digits", "--store", s3_store, "--cpus", "2")
    assert "Published 16 partitions of digits, 14,376 rows" in printed
    counts = protoscore(
        "query",
        "select metric, split, count(distinct example_id) as n from scores group by all",
        "--store",
        s3_store,
        "--format",
        "csv",
    )
    rows = [tuple(row) for row in csv.reader(counts.splitlines()[1:])]
    sizes = (("train", "1437"), ("test", "360"))
    assert sorted(rows) == sorted((name, *size) for name in metrics() for size in sizes)
    frame = polars.scan_delta(
        f"{s3_store}/tables/scores", storage_options=delta_options(s3_store)
    ).collect()
    assert frame.height == 8 * (1437 + 360)
    assert "Nothing to do" in protoscore("rescore", "--dataset", "digits", "--store", s3_store)
