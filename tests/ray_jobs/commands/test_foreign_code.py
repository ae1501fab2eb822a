"""Code that no command line names is never imported, whatever lies around or a file says."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_plans import SMALL

from ray_jobs.cli import main
from scoring.runs.record import load_record
from scoring.store.layout import run_path
from scoring.store.records import write_record
from scoring.store.storage import Storage

PYTHON = Path(sys.executable)
TRAPS = ("logging", "numpy", "queue", "random", "socks", "torch", "tyro")
NIGHT = ("--limit-train", "60", "--limit-test", "30", "--recipe", "smoke", "--batch-rows", "50")
OWN = """
from pathlib import Path
from scoring.nets.mlp import mlp
Path(__file__).with_name("imported").touch()
def make(shape, classes):
    return mlp(shape, classes, 1.0, 0.0)
"""


def plant(folder: Path) -> None:
    for name in TRAPS:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'imported')!r}, 'w')\n")


@pytest.mark.parametrize(
    "command",
    [
        (str(PYTHON.parent / "protoscore"), "plan"),
        (str(PYTHON), "-m", "ray_jobs.cli", "plan"),
        (str(PYTHON), "-m", "ray_jobs.rescore", "--help"),
    ],
    ids=["console script", "module", "job's module"],
)
def test_the_current_folder_changes_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    plant(tmp_path)
    flags = [*SMALL, "--store", str(tmp_path / "store")] if "plan" in command else []
    root = str(Path(__file__).parents[3])  # the code under test, whatever is installed
    done = subprocess.run(
        [*command, *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()


def test_a_module_of_the_current_folder_is_imported_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["plan", *SMALL, "--store", "store"]) == 0
    assert str(tmp_path) not in sys.path
    assert main(["plan", *SMALL, "--store", "store", "--net", "users_net:make"]) == 0
    assert sys.path[-1] == str(tmp_path)
    assert (tmp_path / "imported").exists()
    sys.modules.pop("users_net")


def test_a_manifest_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[object] = []
    monkeypatch.setattr(os, "system", lambda *arguments: called.append(arguments))
    manifest = tmp_path / "runs.json"
    entry = {"weights": "net.pt", "net": "os:system"}
    torch.save({"weight": torch.zeros(1)}, tmp_path / "net.pt")
    manifest.write_text(json.dumps({"runs": [entry]}))
    flags = [*SMALL, "--store", str(tmp_path / "store"), "--import-runs", str(manifest)]
    assert main(["rescore", *flags]) == 2
    assert not called
    assert capsys.readouterr().err == (
        f"protoscore: error: --import-runs {manifest}: expected --allow-nets os:system (a file "
        "names this net, and building it runs its code), got no such flag\n"
    )


@pytest.fixture(scope="module")
def published(in_process: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of digits, scored by a net of ours."""
    store = tmp_path_factory.mktemp("foreign") / "store"
    command = ["rescore", *NIGHT, "--store", str(store), "--net", "mlp"]
    assert main([*command, "--metrics", "msp", "conf", "agr", "ret"]) == 0
    return store


@pytest.fixture
def tampered(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy whose records, sealed like any, name a net that tells when it is imported."""
    (tmp_path / "users_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    storage = Storage(str(shutil.copytree(published, tmp_path / "store")))
    for key in storage.names("runs"):
        record = load_record(storage, key)
        net = replace(record.net, name="users_net:make")
        record = replace(record, net=net, spec=replace(record.spec, net=net))
        write_record(storage, run_path(key), record)
    yield tmp_path
    sys.modules.pop("users_net", None)


@pytest.mark.parametrize(
    "command",
    [
        "explain",
        "evaluate fleet --metrics agr",
        "evaluate representers",
        "evaluate sets --features last --boundary msp --ensemble agr --priv conf",
        "evaluate slices --metrics msp --window 20 --sizes --robustness",
    ],
)
def test_a_record_in_the_store_runs_no_code(
    command: str, tampered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--store", "store"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("protoscore: error: expected --allow-nets users_net:make (a file names")
    assert len(said.splitlines()) == 1
    assert not (tampered / "imported").exists()


def test_a_worker_runs_no_code_of_a_record(
    tampered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line describes a net of ours, so only workers learn what the records say."""
    night = ["rescore", *NIGHT, "--store", "store", "--net", "mlp"]
    assert main([*night, "--metrics", "gradient_norm", "label_conf"]) != 0
    assert "expected --allow-nets users_net:make (a file names" in capsys.readouterr().err
    assert not (tampered / "imported").exists()


def test_an_allowed_record_is_built(tampered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allowed = ["--allow-nets", "users_net:make"]
    command = ["evaluate", "sets", "--features", "last", "--store", "store", *allowed]
    command += ["--boundary", "msp", "--ensemble", "agr", "--priv", "conf"]
    assert main(command) == 0
    assert (tampered / "imported").exists()


@pytest.mark.parametrize(
    "name", ["queue.py", "numpy.py", "torch/__init__.py", "yaml.cpython-311-x86_64-linux-gnu.so"]
)
def test_a_folder_that_hides_installed_modules_is_not_sent(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (
        "users_net.py",
        "benchmarks/__init__.py",
        "ray_jobs/__init__.py",
        "json/data",
        name,
    ):
        (tmp_path / module).parent.mkdir(exist_ok=True)
        (tmp_path / module).touch()
    assert main(["submit", "--working-dir", str(tmp_path), "rescore"]) == 2
    assert capsys.readouterr().err == (
        f"protoscore: error: --working-dir: expected no module in {tmp_path} that hides an "
        f"installed one, got {name.partition('/')[0]}\n"
    )
