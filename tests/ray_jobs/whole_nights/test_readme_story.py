"""The README's ten lines from scores to mended labels, pasted into bash as they stand."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from review_store import decisions, knowing, only_queue, write_file

from scoring.analysis.verdict import CUT
from scoring.data.named import LOADERS
from scoring.tables import Store

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parent.parent.parent.parent
Paste = Callable[[str], str]


def blocks() -> list[str]:
    """The commands of the section, before and after a person has pressed keys."""
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("## Find wrong labels\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def demo() -> str:
    """What `make demo` scores with."""
    (line,) = re.findall(r"\$\(BIN\)/(protoscore rescore .*)", (ROOT / "Makefile").read_text())
    return line.replace("$(DEMO_STORE)", "$PROTOSCORE_STORE")


@pytest.fixture
def paste(tmp_path: Path) -> Paste:
    """Run lines in a shell that finds protoscore and the store; the first that fails ends it."""
    program = tmp_path / "bin" / "protoscore"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ray_jobs.cli "$@"\n')
    program.chmod(0o755)
    about = {"HOME": str(tmp_path), "PROTOSCORE_STORE": str(tmp_path / "store")}
    about |= {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(lines: str) -> str:
        made = subprocess.run(
            ["bash", "-e"],
            input=lines,
            cwd=tmp_path,
            env=os.environ | about,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        return made.stdout

    return run


def count_suspects(uri: str) -> int:
    return sum(wrong >= CUT for wrong in Store(uri).issues(split="train")["wrong"].to_pylist())


def test_ten_lines_lead_from_scores_to_mended_labels(paste: Paste, tmp_path: Path) -> None:
    before, after = blocks()
    lines = [line for line in (before + after).splitlines() if line]
    assert len(lines) == 10
    assert all(line.startswith("protoscore ") for line in lines)
    paste(demo())
    assert "Nothing to do" in paste(before)
    assert (tmp_path / "review" / "index.html").exists()

    downloads = tmp_path / "Downloads"
    downloads.mkdir()
    uri = str(tmp_path / "store")
    decided = decisions(only_queue(uri), knowing(LOADERS["digits"]("", "train").labels))
    write_file(downloads, decided, "review-0-ann.json")
    suspects = count_suspects(uri)
    said = paste(after)
    corrected = Store(uri).nights()["corrected"].to_pylist()[-1]
    assert corrected > 90
    assert count_suspects(uri) < suspects - 80
    assert f"{corrected} examples of digits-relabelled-10" in said
