"""The image, as far as can be said without building one."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from manifests import RAY, ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [tuple(line.split(" ", 1)) for line in LINES if re.match(r"[A-Z]+ ", line)]
RUNS = [argument for step, argument in STEPS if step == "RUN"]
COPIES = [
    [word for word in shlex.split(argument) if not word.startswith("--")]
    for step, argument in STEPS
    if step == "COPY"
]
INSTALL_TIMEOUT_S = 1500


def test_the_base_has_the_ray_that_the_project_pins():
    (base,) = [argument for step, argument in STEPS if step == "FROM"]
    assert base == f"rayproject/ray:{RAY}-py311${{FLAVOUR}}"
    assert f"ray=={RAY} \\" in (ROOT / "requirements.lock").read_text()


def test_all_that_it_copies_is_there_and_reaches_the_build():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for *sources, _ in COPIES:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_all_that_it_installs_from_was_copied():
    copied = {source for *sources, _ in COPIES for source in sources}
    named = {word for run in RUNS for word in shlex.split(run) if word.endswith((".toml", ".lock"))}
    assert named
    assert named <= copied


def test_every_dependency_comes_from_the_lock_with_its_hash():
    installs = [run for run in RUNS if " install " in run]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--constraint requirements.lock" in installs[0]
    assert "--no-deps" in installs[1]


def test_its_pythons_import_nothing_from_the_current_folder():
    assert "PYTHONSAFEPATH=1" in [argument for step, argument in STEPS if step == "ENV"]


def test_it_runs_as_nobody_special_and_installs_nothing_later():
    assert [argument for step, argument in STEPS if step == "USER"] == ["ray"]
    assert not [step for step, _ in STEPS if step in {"ENTRYPOINT", "CMD"}]


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_TIMEOUT_S)
def test_its_steps_install_the_project_into_an_empty_environment(tmp_path):
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (python.parent / "uv").symlink_to(Path(sys.executable).parent / "uv")
    path = f"{python.parent}:/usr/bin:/bin"
    env = {**os.environ, "PATH": path, "UV_PYTHON": str(python)}
    work = tmp_path / "work"
    work.mkdir()
    for step, argument in STEPS:
        if step == "COPY":
            _copy(argument, work)
        if step == "RUN":
            subprocess.run(argument, shell=True, cwd=work, env=env, check=True)


def _copy(argument: str, work: Path) -> None:
    *sources, target = [word for word in shlex.split(argument) if not word.startswith("--")]
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, work / target)
        else:
            shutil.copy(ROOT / source, work / target)
