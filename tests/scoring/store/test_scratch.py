import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from scoring.errors import Outage, UserError
from scoring.store.scratch import Scratch, check_scratch, remove_unused

KEY = "0123456789abcdef" * 2
NAME = f"numbers-{KEY}"
GOOD, BAD = np.arange(1000), -np.arange(1000)


@pytest.fixture
def scratch(tmp_path):
    return Scratch(str(tmp_path))


@pytest.fixture
def makes():
    """A function that makes the entry, and how often it was called."""

    def make(entry):
        make.times += 1
        entry.write("numbers", GOOD)

    make.times = 0
    return make


def take(scratch, make, size=GOOD.nbytes):
    return scratch.take("numbers", KEY, size, make).array("numbers", np.int64)


def leftover(scratch, make):
    """Leave a complete entry as a killed process does, and return its folder."""
    pid = os.fork()
    if not pid:
        held = take(scratch, make)
        os.kill(os.getpid(), signal.SIGKILL)
        del held
    os.waitpid(pid, 0)
    assert (scratch.path / NAME / "numbers").exists()
    time.sleep(0.02)  # the clock of file times ticks every few milliseconds
    return scratch.path / NAME


def entries(scratch):
    return sorted(name for name in os.listdir(scratch.path) if name != "made-by-protoscore")


def test_an_entry_is_made_once_while_it_is_used(scratch, makes):
    first, second = take(scratch, makes), take(scratch, makes)
    assert makes.times == 1
    np.testing.assert_array_equal(first, GOOD)
    np.testing.assert_array_equal(second, GOOD)
    assert not first.flags.writeable


def test_nothing_in_it_can_be_read_by_others(scratch, makes):
    held = take(scratch, makes)
    modes = {path.stat().st_mode & 0o077 for path in scratch.path.rglob("*")}
    assert modes == {0}
    del held


def test_an_entry_is_removed_with_its_last_user(scratch, makes):
    first, second = take(scratch, makes), take(scratch, makes)[10:20]
    del first
    assert entries(scratch) == [NAME, f"{NAME}.lock"]
    del second
    assert entries(scratch) == []


def test_an_open_file_is_a_user(scratch, makes):
    file = scratch.take("numbers", KEY, 0, makes).file("numbers")
    assert entries(scratch)
    assert np.frombuffer(os.pread(file.fileno(), 16, 8), np.int64).tolist() == [1, 2]
    del file
    assert entries(scratch) == []


def test_what_a_killed_process_left_complete_is_used(scratch, makes):
    leftover(scratch, makes)
    np.testing.assert_array_equal(take(scratch, makes), GOOD)
    assert makes.times == 0  # in this process


def planted(folder):
    BAD.tofile(folder / "numbers")


def truncated(folder):
    os.truncate(folder / "numbers", 100)


def changed_with_its_time_set_back(folder):
    before = (folder / "numbers").stat()
    with (folder / "numbers").open("r+b") as file:
        file.write(b"\1")
    os.utime(folder / "numbers", ns=(before.st_atime_ns, before.st_mtime_ns))


def half_gone(folder):
    (folder / "numbers").unlink()


def unrecorded(folder):
    (folder / "record.json").unlink()


def garbled(folder):
    (folder / "record.json").write_text('{"numbers": 17')


def recorded_as_something_else(folder):
    (folder / "record.json").write_text("[17]")


def linked_file(folder):
    (folder / "numbers").rename(folder / "elsewhere")
    (folder / "numbers").symlink_to("elsewhere")


def linked_record(folder):
    (folder / "record.json").rename(folder / "elsewhere")
    (folder / "record.json").symlink_to("elsewhere")


def linked_folder(folder):
    elsewhere = folder.parent.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


def copied(folder):
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def a_pipe(folder):
    (folder / "numbers").unlink()
    os.mkfifo(folder / "numbers")


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("no folder")


def group_writable(folder):
    folder.chmod(0o770)


def of_somebody_else(folder):
    os.chown(folder, 12345, -1)


def file_of_somebody_else(folder):
    os.chown(folder / "numbers", 12345, -1)


def record_of_somebody_else(folder):
    os.chown(folder / "record.json", 12345, -1)


HARM = [
    planted,
    truncated,
    changed_with_its_time_set_back,
    half_gone,
    unrecorded,
    garbled,
    recorded_as_something_else,
    linked_file,
    linked_record,
    linked_folder,
    copied,
    a_pipe,
    a_file,
    group_writable,
]
FOREIGN = [of_somebody_else, file_of_somebody_else, record_of_somebody_else]


def check_that_it_is_made_again(scratch, makes, harm):
    harm(leftover(scratch, makes))
    np.testing.assert_array_equal(take(scratch, makes), GOOD)
    assert makes.times == 1


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_what_is_not_as_it_was_written_is_made_again(scratch, makes, harm):
    check_that_it_is_made_again(scratch, makes, harm)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("harm", FOREIGN, ids=lambda harm: harm.__name__)
def test_what_is_somebody_elses_is_made_again(scratch, makes, harm):
    check_that_it_is_made_again(scratch, makes, harm)


def test_a_planted_folder_is_not_used(scratch, makes):
    (scratch.path / NAME).mkdir(mode=0o700)
    planted(scratch.path / NAME)
    np.testing.assert_array_equal(take(scratch, makes), GOOD)


def test_nothing_behind_a_link_is_removed(scratch, makes, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "numbers").write_text("chapter")
    (scratch.path / NAME).symlink_to(thesis)
    other = f"other-{KEY}"
    (scratch.path / other).mkdir()
    (scratch.path / other / "link").symlink_to(thesis)
    held = take(scratch, makes)
    assert entries(scratch) == [NAME, f"{NAME}.lock"]
    del held
    assert entries(scratch) == []
    assert (thesis / "numbers").read_text() == "chapter"


def test_what_has_no_name_of_ours_is_left_alone(scratch, makes):
    (scratch.path / "notes").write_text("of the user")
    (scratch.path / f"{NAME}.old").mkdir()
    take(scratch, makes)
    assert entries(scratch) == ["notes", f"{NAME}.old"]


def test_one_that_was_changed_while_in_use_is_refused(scratch, makes):
    held = take(scratch, makes)
    os.utime(scratch.path / NAME / "numbers")
    with pytest.raises(Outage, match="it has changed, and another process uses it"):
        take(scratch, makes)
    del held
    np.testing.assert_array_equal(take(scratch, makes), GOOD)


def test_an_entry_whose_making_failed_is_made_again(scratch, makes):
    def fails(entry):
        entry.write("numbers", BAD)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        take(scratch, fails)
    assert not (scratch.path / NAME).exists()
    np.testing.assert_array_equal(take(scratch, makes), GOOD)


def test_an_empty_array(scratch):
    entry = scratch.take("numbers", KEY, 0, lambda new: new.write("none", GOOD[:0]))
    assert entry.array("none", np.int64, (3, 2)).shape == (0, 3, 2)


def slowly(entry, log):
    with open(log, "a") as lines:
        lines.write("made\n")
    time.sleep(0.5)
    entry.write("numbers", GOOD)


def take_at_once(folder, barrier, log, sums):
    barrier.wait()
    numbers = take(Scratch(folder), lambda entry: slowly(entry, log))
    sums.put(int(numbers.sum()))
    barrier.wait()  # a process that ended sooner would take the entry with it


def test_processes_that_need_it_at_once_make_it_once(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, sums = context.Barrier(4), context.Queue()
    arguments = (str(tmp_path), barrier, tmp_path / "log", sums)
    processes = [context.Process(target=take_at_once, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    assert [sums.get(timeout=30) for _ in processes] == [GOOD.sum()] * 4
    for process in processes:
        process.join()
    assert (tmp_path / "log").read_text() == "made\n"


def die_while_making(folder, begun):
    def make(entry):
        entry.write("numbers", BAD)
        begun.set()
        time.sleep(60)

    take(Scratch(folder), make)


def test_who_waits_for_a_process_that_dies_makes_it(scratch, makes, tmp_path):
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    dying = context.Process(target=die_while_making, args=(str(tmp_path), begun))
    dying.start()
    assert begun.wait(30)
    remove_unused(str(tmp_path))
    assert (scratch.path / NAME).exists()  # its maker lives
    dying.kill()
    np.testing.assert_array_equal(take(scratch, makes), GOOD)
    dying.join()


def hold(folder, holds, ends):
    held = take(Scratch(folder), lambda entry: entry.write("numbers", GOOD))
    holds.set()
    ends.wait(30)
    del held


def test_what_another_process_uses_is_not_removed(scratch, makes, tmp_path):
    context = multiprocessing.get_context("fork")
    holds, ends = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path), holds, ends))
    other.start()
    assert holds.wait(30)
    mine = take(scratch, makes)
    del mine
    remove_unused(str(tmp_path))
    assert entries(scratch) == [NAME, f"{NAME}.lock"]
    ends.set()
    other.join()
    assert entries(scratch) == []


def test_what_dead_processes_left_is_removed_at_the_next_start(scratch, makes, tmp_path):
    leftover(scratch, makes)
    half = scratch.path / f"numbers-{'f' * 32}"
    half.mkdir()
    planted(half)
    remove_unused(str(tmp_path))
    assert entries(scratch) == []


ENDS = """
import sys, numpy as np
from scoring.store.scratch import Scratch
scratch = Scratch(sys.argv[1])
held = scratch.take("numbers", sys.argv[2], 0, lambda entry: entry.write("numbers", np.arange(9)))
array = held.array("numbers", np.int64)
assert (scratch.path / f"numbers-{sys.argv[2]}").exists()
"""


def test_a_process_that_ends_removes_what_it_used(tmp_path, scratch):
    subprocess.run([sys.executable, "-c", ENDS, str(tmp_path), KEY], check=True)
    assert entries(scratch) == []


def test_removing_makes_no_folder(tmp_path):
    remove_unused(str(tmp_path))
    check_scratch(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_too_small_is_one_line_before_anything_is_written(
    scratch, makes, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 10**9))
    with pytest.raises(Outage) as refused:
        take(scratch, makes, size=10**10)
    message = str(refused.value)
    assert message.startswith("--scratch or $PROTOSCORE_SCRATCH: expected 10.5 GB free in '")
    assert message.endswith("got 3 GB; make room, or name a larger disk")
    assert str(scratch.path) in message
    assert makes.times == 0
    assert not (scratch.path / NAME).exists()


def test_a_disk_that_fills_up_meanwhile_is_one_line(scratch, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def make(entry):
        with entry.writing("numbers", 8000):
            pytest.fail("wrote to a map without room, which kills the process")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Outage, match=r"expected 8e-06 GB free in .*; make room, or name a larger"):
        take(scratch, make)
    assert not (scratch.path / NAME).exists()


def test_other_errors_pass(scratch):
    def make(entry):
        raise FileNotFoundError("a shard")

    with pytest.raises(FileNotFoundError, match="a shard"):
        take(scratch, make)


def test_a_working_folder_is_empty_and_removed_at_the_end(scratch, tmp_path):
    with scratch.working_folder("report") as folder:
        assert os.listdir(folder) == []
        (folder / "page").touch()
        remove_unused(str(tmp_path))
        assert (folder / "page").exists()
    assert entries(scratch) == []


def test_where_it_is(tmp_path, monkeypatch):
    for name in ("flag", "variable", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("PROTOSCORE_SCRATCH", raising=False)
    assert Scratch().path.parent == tmp_path / "temporary"
    monkeypatch.setenv("PROTOSCORE_SCRATCH", str(tmp_path / "variable"))
    assert Scratch().path.parent == tmp_path / "variable"
    assert Scratch(str(tmp_path / "flag")).path.parent == tmp_path / "flag"


def test_a_place_that_cannot_be_used_is_refused_before_any_work(tmp_path):
    for name in ("missing", "9" * 400, "a\0b"):
        with pytest.raises(UserError, match="expected a folder that can be written, got"):
            check_scratch(str(tmp_path / name))
    Scratch(str(tmp_path)).path.chmod(0o777)
    with pytest.raises(UserError, match="got one that others can enter"):
        check_scratch(str(tmp_path))
