"""What is nobody's mistake is told from what is ours, in a line without secrets."""

import errno
import os

import pytest
from botocore.exceptions import EndpointConnectionError
from deltalake.exceptions import DeltaError

from scoring.errors import BadData, Outage, UserError
from scoring.store.outages import known
from scoring.store.whole_files import check_writable, refused, written_whole

OUTAGES = {
    "full": (OSError(errno.ENOSPC, "x", "/store/a"), "No space left on device (/store/a); make"),
    "quota": (OSError(errno.EDQUOT, "x"), "Disk quota exceeded; make room"),
    "read-only": (OSError(errno.EROFS, "x", "/a"), "Read-only file system (/a); allow it, then"),
    "forbidden": (PermissionError(errno.EACCES, "x", "/a"), "Permission denied (/a); allow it"),
    "forbidden by a server": (PermissionError("hunter2"), "Permission denied; allow it"),
    "broken disk": (OSError(errno.EIO, "x", "/a"), "Input/output error (/a); run the same command"),
    "too many files": (OSError(errno.EMFILE, "x"), "Too many open files; raise `ulimit -n`"),
    "memory": (MemoryError(), "out of memory; lower --train-memory-gb"),
    "connection": (ConnectionResetError("hunter2"), "the store did not answer (ConnectionReset"),
    "timeout": (TimeoutError("hunter2"), "the store did not answer (TimeoutError)"),
    "driver": (EndpointConnectionError(endpoint_url="hunter2"), "the store did not answer (End"),
    "log": (DeltaError("Generic S3 error: 503 Service Unavailable hunter2"), "(503 Service Unav"),
    "log on a full disk": (
        OSError("Generic LocalFileSystem error\n No space left on device (os error 28)"),
        "No space left on device; make room",
    ),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_says_what_failed_and_what_to_do(name):
    error, said = OUTAGES[name]
    found = known(error)
    assert isinstance(found, Outage)
    assert said in str(found)
    assert "run the same command again" in str(found)
    assert "hunter2" not in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), OSError("hunter2"), FileNotFoundError(errno.ENOENT, "x"), SystemError()],
)
def test_anything_else_is_a_mistake_of_ours(error):
    assert known(error) is None


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP])
def test_a_path_that_cannot_be_is_a_mistake_of_the_users(number):
    found = known(OSError(number, "x", "/store/a"))
    assert isinstance(found, UserError)
    assert "expected a path that can be, got '/store/a' (" in str(found)


def test_an_error_raised_on_purpose_stays_as_it_is_and_causes_count():
    error = BadData("expected a, got b")
    assert known(error) is error
    wrapped = RuntimeError("while it wrote")
    wrapped.__cause__ = OSError(errno.ENOSPC, "x")
    assert isinstance(known(wrapped), Outage)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, Outage),
        (errno.EIO, Outage),
        (errno.EACCES, UserError),
        (errno.EROFS, UserError),
    ],
)
def test_a_destination_is_wrong_or_its_disk_has_failed(tmp_path, number, kind):
    def write():
        with written_whole(tmp_path / "x", "--output") as path:
            path.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=r"^--output"):
        write()
    assert list(tmp_path.iterdir()) == []
    assert type(refused(OSError(number, "x"), "--output", "file", "x")) is kind


def test_a_device_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        pytest.raises(UserError, match="--page: expected a file or folder to replace"),
        written_whole(pipe, "--page"),
    ):
        pytest.fail("it would be replaced")
    assert pipe.is_fifo()


def test_a_read_only_folder_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UserError, match=r"--output: expected a place .* in a read-only folder"):
        check_writable(tmp_path, "--output", "x")
