"""A disk that fills up, or a folder that becomes read-only, ends a night in one line.

What was made stays, and the same command goes on.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_plans import SMALL

from ray_jobs.jobs.job_record import load_jobs
from scoring.store import storage as storage_module
from scoring.store.storage import Storage

Rescore = Callable[..., int]
WRITTEN = ("datasets/", "runs/", "staging/", "nights/", "tables/scores/", "tables/manifests/")
SAID = {
    errno.ENOSPC: "No space left on device",
    errno.EROFS: "Read-only file system",
    errno.EIO: "Input/output error",
}


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the disk refuses to write: starts of paths in the store, and why."""
    writes = storage_module.appearing_whole
    bad: list[tuple[str, int]] = []

    def refuse(target: Path) -> object:
        for start, number in bad:
            if f"/store/{start}" in str(target):
                raise OSError(number, os.strerror(number), str(target))
        return writes(target)

    monkeypatch.setattr(storage_module, "appearing_whole", refuse)
    return bad


@pytest.mark.parametrize(
    ("start", "number"),
    [
        *((start, errno.ENOSPC) for start in (*WRITTEN, "jobs/")),
        ("staging/", errno.EROFS),
        ("runs/", errno.EIO),
    ],
)
def test_a_night_on_a_bad_disk_is_one_line_and_the_same_command_goes_on(
    rescore: Rescore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: list[tuple[str, int]],
    start: str,
    number: int,
) -> None:
    flags = (*SMALL, "--metrics", "msp")
    spoil.append((start, number))
    assert rescore(*flags) == 5
    said = capsys.readouterr()
    (line,) = (line for line in said.err.splitlines() if line.startswith("protoscore: "))
    assert line.startswith(f"protoscore: error: {SAID[number]} ({tmp_path}/store/{start}")
    assert line.endswith("run the same command again")
    assert "Traceback" not in said.out + said.err
    if start != "jobs/":
        (job,) = load_jobs(Storage(str(tmp_path / "store")))
        assert job.state == "failed"
        assert job.said == line.removeprefix("protoscore: error: ")
    spoil.clear()
    assert rescore(*flags) == 0
