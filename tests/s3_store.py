"""A real S3 store for tests: Ceph's object gateway, alone on loopback, in a temporary folder.

One monitor, one in-memory object server and the gateway run as children of the test process and
end with it. Debian's packages: radosgw ceph-mon ceph-osd ceph-common.
"""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import pytest

PROGRAMS = (
    "radosgw",
    "radosgw-admin",
    "ceph",
    "ceph-mon",
    "ceph-osd",
    "ceph-authtool",
    "monmaptool",
)
PACKAGES = "radosgw ceph-mon ceph-osd ceph-common"
KEY, SECRET = "AKIAPROTOSCORETESTS0", "a/secret+that-appears-nowhere-else"
BUCKET = "protoscore-tests"
START_TIMEOUT_S = 120

CONFIG = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {root}/run
admin socket = {root}/run/$name.asok
pid file = {root}/run/$name.pid
log file = {root}/log/$name.log
keyring = {root}/keyring
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
mgr initial modules =
[mon]
mon data = {root}/mon
[osd]
osd data = {root}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
rgw dns name = localhost
"""


@dataclass(frozen=True)
class Gateway:
    """A running store: where it is, and the environment that opens it."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach the store."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def new_store(self) -> str:
        """The URI of a store that nobody has used yet."""
        return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def s3_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The store's processes, started once a test session."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {missing[0]}: the S3 store needs Debian's {PACKAGES}")
    with running_gateway(tmp_path_factory.mktemp("ceph")) as gateway:
        yield gateway


@pytest.fixture
def s3_store(s3_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a fresh store on the gateway, with the environment that opens it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_gateway.environment.items():
        monkeypatch.setenv(name, value)
    return s3_gateway.new_store()


@contextmanager
def running_gateway(root: Path) -> Iterator[Gateway]:
    """Start monitor, object server and gateway under `root`; stop them at the end."""
    (port, mon_port), fsid = _free_ports(), str(uuid.uuid4())
    _configure(root, port, mon_port, fsid)
    gateway = Gateway(f"http://127.0.0.1:{port}")
    with ExitStack() as daemons:
        keyring = root / "keyring"
        _create_monitor(root, keyring, mon_port, fsid)
        daemons.enter_context(_daemon(root, "ceph-mon", "-i", "a"))
        _create_object_server(root, keyring)
        daemons.enter_context(_daemon(root, "ceph-osd", "-i", "0"))
        _grant(root, keyring, "client.rgw", mon="allow *", osd="allow *")
        daemons.enter_context(_daemon(root, "radosgw", "-n", "client.rgw"))
        _wait_until_up(gateway.endpoint, root / "log")
        user = ("--uid", "test", "--display-name", "test", "--access-key", KEY)
        _call(root, "radosgw-admin", "user", "create", *user, "--secret-key", SECRET)
        _create_bucket(gateway)
        yield gateway


def _configure(root: Path, port: int, mon_port: int, fsid: str) -> None:
    for folder in ("mon", "osd", "run", "log"):
        (root / folder).mkdir(parents=True)
    text = CONFIG.format(root=root, port=port, mon_port=mon_port, fsid=fsid)
    (root / "ceph.conf").write_text(text)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _create_monitor(root: Path, keyring: Path, mon_port: int, fsid: str) -> None:
    everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
    new = ("--gen-key", "-n")
    _call(root, "ceph-authtool", "--create-keyring", keyring, *new, "mon.", *everything)
    _call(root, "ceph-authtool", keyring, *new, "client.admin", *everything)
    address, monmap = f"[v2:127.0.0.1:{mon_port}]", root / "monmap"
    _call(root, "monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, monmap)
    _call(root, "ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)


def _create_object_server(root: Path, keyring: Path) -> None:
    identity = str(uuid.uuid4())
    _call(root, "ceph", "osd", "new", identity)
    _grant(root, keyring, "osd.0", mon="allow profile osd", mgr="allow profile osd", osd="allow *")
    _call(root, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)


def _grant(root: Path, keyring: Path, name: str, **capabilities: str) -> None:
    pairs = [word for pair in capabilities.items() for word in pair]
    granted = _call(root, "ceph", "auth", "get-or-create", name, *pairs)
    with keyring.open("a") as file:
        file.write(granted)


def _call(root: Path, *command: str | Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=_environment(root), capture_output=True, text=True, timeout=START_TIMEOUT_S
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _daemon(root: Path, *command: str) -> Iterator[None]:
    with (root / "log" / f"{command[0]}.out").open("wb") as log:
        process = subprocess.Popen([*command, "-f"], env=_environment(root), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.kill()  # everything it holds is in memory or in a temporary folder
            process.wait()


def _environment(root: Path) -> dict[str, str]:
    conf = str(root / "ceph.conf")
    return os.environ | {"CEPH_CONF": conf, "CEPH_ARGS": f"--conf {conf}"}


def _wait_until_up(endpoint: str, logs: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(endpoint, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"the gateway did not come up within {START_TIMEOUT_S} s: see {logs}")


def _create_bucket(gateway: Gateway) -> None:
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=gateway.endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket=BUCKET)
