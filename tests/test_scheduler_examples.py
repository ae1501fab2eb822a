"""The examples of docs/examples run with their schedulers and heed exit codes.

Each scheduler is installed into an environment of its own: they are no dependencies of ours.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
PROTOSCORE = """#!/bin/sh
# Notes what it was asked, and ends with the exit code that CODES names: "rescore=0 check=1".
echo "$1" >> "$CALLS"
for code in $CODES; do [ "${code%=*}" = "$1" ] && exit "${code#*=}"; done
exit 0
"""
RUN = {
    "apache-airflow==3.*": """
import airflow_nightly as example
sys.exit(example.nightly.test().state != "success")
""",
    "dagster==1.*": """
import dagster_nightly as example
job = example.definitions.resolve_job_def("nightly")
sys.exit(not job.execute_in_process(raise_on_error=False).success)
""",
    "prefect==3.*": """
import prefect_nightly as example
sys.exit(example.nightly(return_state=True).type != "COMPLETED")
""",
}
PREPARE = {"apache-airflow==3.*": ["airflow", "db", "migrate"]}


@pytest.mark.parametrize("package", RUN)
def test_an_example_runs_the_night_then_its_gate_and_heeds_exit_codes(
    package: str, tmp_path: Path
) -> None:
    binaries = tmp_path / "env" / "bin"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    uv = Path(sys.executable).parent / "uv"
    install = [uv, "pip", "install", "--quiet", "--python", binaries / "python", package]
    subprocess.run(install, check=True)
    (binaries / "protoscore").write_text(PROTOSCORE)
    (binaries / "protoscore").chmod(0o755)
    calls = tmp_path / "calls"
    env = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{binaries}:/usr/bin:/bin",
        "CALLS": str(calls),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if package in PREPARE:
        command = [binaries / PREPARE[package][0], *PREPARE[package][1:]]
        subprocess.run(command, env=env, check=True, capture_output=True)

    def night(codes: str) -> tuple[bool, list[str]]:
        """Whether the scheduler calls the night a success, and what it ran."""
        calls.unlink(missing_ok=True)
        done = subprocess.run(
            [binaries / "python", "-c", f"import sys\n{RUN[package]}"],
            cwd=EXAMPLES, env={**env, "CODES": codes}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert calls.exists(), done.stderr[-3000:]
        return done.returncode == 0, calls.read_text().split()

    assert night("rescore=0 check=0") == (True, ["rescore", "check"])
    assert night("rescore=0 check=1") == (False, ["rescore", "check"])
    assert night("rescore=2 check=0") == (False, ["rescore"])
