"""Files in a folder appear whole, wherever the process that writes them ends."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from scoring.store.local_folder import appearing_whole

WRITER = """
import sys, time
from pathlib import Path
from scoring.store.local_folder import appearing_whole
with appearing_whole(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["without a name", "with a name"])
def way(request, monkeypatch):
    """Either way to write, whatever the file system of the test can do."""
    if request.param == "with a name":
        opened = os.open

        def refuse(path, flags, *rest, **named):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "as on NFS")
            return opened(path, flags, *rest, **named)

        monkeypatch.setattr("os.open", refuse)
    return request.param


def test_a_file_appears_when_all_is_written(tmp_path, way):
    target = tmp_path / "a" / "b"
    for data in (b"first", b"second, which takes its place"):
        before = target.read_bytes() if target.exists() else None
        with appearing_whole(target) as file:
            file.write(data)
            assert (target.read_bytes() if target.exists() else None) == before
            assert len(os.listdir(target.parent)) == (before is not None) + (way == "with a name")
        assert target.read_bytes() == data
        assert os.listdir(target.parent) == ["b"]


def test_what_fails_leaves_what_was_there(tmp_path, way):
    (tmp_path / "old").write_bytes(b"old")

    def fail(name):
        with appearing_whole(tmp_path / name) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    for name in ("new", "old"):
        with pytest.raises(KeyboardInterrupt):
            fail(name)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_others_may_read_a_file_as_the_users_mask_says(tmp_path, way):
    before = os.umask(0o027)
    try:
        with appearing_whole(tmp_path / "x") as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_link_is_replaced_and_not_followed(tmp_path, way):
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "x").symlink_to(tmp_path / "theirs")
    with appearing_whole(tmp_path / "x") as file:
        file.write(b"ours")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "x").read_bytes() == b"ours"


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_killed_writer_leaves_nothing(tmp_path, old):
    target = tmp_path / "store" / "x"
    target.parent.mkdir()
    if old:
        target.write_bytes(old)
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
    assert os.listdir(target.parent) == (["x"] if old else [])
    assert not old or target.read_bytes() == old
