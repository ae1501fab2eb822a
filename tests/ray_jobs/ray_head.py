"""A Ray head of the tests' own: token authentication on, ports and folder nobody else has."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import kill_with_all_below

START_TIMEOUT_S = 120


@dataclass(frozen=True)
class Head:
    """A running head, and the environment that its users need."""

    address: str
    """Of its job server."""
    environment: Mapping[str, str]
    token: str
    logs: Path
    metrics: str
    """Where Prometheus would look."""


@contextmanager
def running_head(folder: Path, cpus: int, environment: Mapping[str, str]) -> Iterator[Head]:
    """Start a head in `folder`, whose jobs see `environment`; stop it at the end."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    user = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    ports = [str(port) for port in _free_ports(4)]
    bin_folder = Path(sys.executable).parent
    command = [str(bin_folder / "ray"), "start", "--head", "--block", "--disable-usage-stats"]
    command += ["--port", ports[0], "--dashboard-host", "127.0.0.1", "--dashboard-port", ports[1]]
    command += ["--dashboard-agent-listen-port", ports[2], "--num-cpus", str(cpus)]
    command += ["--metrics-export-port", ports[3]]
    root = Path(tempfile.mkdtemp(prefix="head"))  # sockets lie in it: their paths must be short
    command += ["--temp-dir", str(root)]
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    everything = {**os.environ, **environment, **user, "PATH": path}
    everything.pop("RAY_ADDRESS", None)
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(command, env=everything, stdout=log, stderr=log)
    head = Head(
        address=f"http://127.0.0.1:{ports[1]}",
        environment={**user, "PATH": path},
        token=token.read_text(),
        logs=root,
        metrics=f"http://127.0.0.1:{ports[3]}/metrics",
    )
    try:
        _wait_until_up(head.address, process, folder / "head.log")
        yield head
    finally:
        kill_with_all_below(process.pid)  # it would take half a minute to end by itself
        process.wait(timeout=60)
        shutil.rmtree(root, ignore_errors=True)


def _wait_until_up(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/version", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to ask for the token
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise TimeoutError(f"expected a Ray head at {address}, got: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
