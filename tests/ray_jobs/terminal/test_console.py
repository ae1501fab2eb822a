import errno
import io
import tempfile
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
import tyro

from ray_jobs.jobs.progress import Progress
from ray_jobs.terminal.console import default_store, parse_flags, run_job
from ray_jobs.terminal.say import note, say
from ray_jobs.terminal.shared_flags import TableFlags, by_default
from scoring.errors import Damaged, IncompleteError, Terminated, UserError


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Show something."""

    sql: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SQL")]
    """A query."""
    metric: str
    """Metric to show."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """Number of rows."""
    hours: Annotated[float | None, by_default("no limit")] = None
    """Time limit."""
    splits: tuple[Literal["train", "test"], ...] = ()
    """Splits to show."""
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def test_flags_are_parsed():
    flags = parse_flags(Flags, ["q", "--metric", "conf", "-n", "3", "--format", "csv"], "p")
    assert (flags.sql, flags.metric, flags.n, flags.table.format) == ("q", "conf", 3, "csv")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro draws its boxes accordingly
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("", "SQL: expected a value, got none"),
        ("q", "--metric: expected a value, got none"),
        ("q --metric", "--metric: expected a value, got none"),
        ("q --metric m -n many", "-n/--n: expected a whole number, got 'many'"),
        ("q --metric m --hours x", "--hours: expected FLOAT, got 'x'"),
        ("q --metric m --splits dev", "--splits: expected one of test, train, got 'dev'"),
        (
            "q --metric m --format xml",
            "--format: expected one of csv, json, parquet, table, got 'xml'",
        ),
        ("q r --metric m", "unknown arguments: r"),
        (
            "q --metric m --stoer s",
            "unknown arguments: --stoer, s; perhaps you meant --store STR",
        ),
        (
            "q --metric m --stoer s --wrong",
            "unknown arguments: --stoer, s, --wrong; perhaps you meant --store STR",
        ),
    ],
)
def test_an_error_is_one_line_that_names_the_flag(monkeypatch, arguments, error, encoding):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(UserError) as raised:
        parse_flags(Flags, arguments.split(), "protoscore show")
    assert str(raised.value) == f"{error} (see protoscore show --help)"


def test_help_says_in_words_what_happens_by_default(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as stop:
        parse_flags(Flags, ["--help"], "protoscore show", "Show a metric.")
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: protoscore show ")
    assert "Show a metric." in said
    assert "--hours FLOAT" in said
    assert "Time limit. (default: no limit)" in said
    assert "None" not in said


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("--n: expected 1, got 2"), 2, "protoscore: error: --n: expected 1, got 2\n"),
        (IncompleteError("3 runs failed"), 4, "protoscore: error: 3 runs failed\n"),
        (Damaged("run.json is cut off"), 5, "protoscore: error: run.json is cut off\n"),
        (
            OSError(errno.EROFS, "Read-only file system", "/store/x"),
            5,
            "protoscore: error: Read-only file system (/store/x); allow it, then run the same "
            "command again\n",
        ),
        (KeyboardInterrupt(), 130, "protoscore: interrupted\n"),
        (Terminated(), 143, "protoscore: terminated\n"),
    ],
)
def test_exit_codes(capsys, error, code, said):
    def main(argv):
        raise error

    assert run_job(main, []) == code
    assert capsys.readouterr() == ("", said)


def test_a_mistake_of_ours_is_one_line_and_its_traceback_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run_job(lambda argv: 1 // 0, []) == 1
    (file,) = tmp_path.iterdir()
    assert capsys.readouterr().err == (
        "protoscore: internal error: ZeroDivisionError; please report it with "
        f"{file} (PROTOSCORE_DEBUG=1 prints it)\n"
    )
    assert "run_job(lambda argv: 1 // 0, [])" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_mistake_on_a_full_disk_is_one_line_too(capsys, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert run_job(lambda argv: 1 // 0, []) == 1
    assert capsys.readouterr().err == (
        "protoscore: internal error: ZeroDivisionError; please report it with what "
        "PROTOSCORE_DEBUG=1 makes it print (No space left on device)\n"
    )


def test_a_developer_gets_the_traceback_itself(monkeypatch):
    monkeypatch.setenv("PROTOSCORE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run_job(lambda argv: 1 // 0, [])


def test_arguments_and_exit_code_pass_through():
    assert run_job(lambda argv: len(argv), ["a", "b", "c"]) == 3


def test_the_store_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("PROTOSCORE_STORE", raising=False)
    assert default_store() == "./store"
    monkeypatch.setenv("PROTOSCORE_STORE", "s3://bucket/store")
    assert default_store() == "s3://bucket/store"


def test_an_error_is_one_printable_line(capsys):
    def main(argv):
        raise UserError("--label: expected one of a\nb, \x1b[31mred, got '\u202ex'")

    assert run_job(main, []) == 2
    said = r"protoscore: error: --label: expected one of a\nb, \x1b[31mred, got '\u202ex'"
    assert capsys.readouterr() == ("", f"{said}\n")


def test_what_is_said_keeps_its_lines_and_nothing_else_that_moves_a_cursor(capsys):
    say("Plan for a\x1b[2J\n  train\tb", end="")
    note("\x9b31m\rdone")
    assert capsys.readouterr() == ("Plan for a\\x1b[2J\n  train\\tb", "\\x9b31m\\rdone\n")


def test_progress_notes_are_printable(capsys):
    with Progress("train", 1, "run") as progress:
        progress.note("run failed: \x1b[31m, no answer from s3://KEY:SECRET@bucket")
    said = capsys.readouterr().err
    assert r"train: run failed: \x1b[31m, no answer from s3://***@bucket" in said
