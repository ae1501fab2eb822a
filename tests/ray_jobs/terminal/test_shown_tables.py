import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import NAMES, unprintable

from ray_jobs.terminal.tables import as_text, show
from scoring.errors import UserError

TABLE = pa.table(
    {
        "name": ["a.png", 'é, "b".png'],
        "value": [0.123456789, None],
        "rows": pa.array([Decimal(7), Decimal(12)], pa.decimal128(38, 0)),
        "at": pa.array([datetime(2026, 3, 1, 6, 30, 5, 250_000, tzinfo=UTC)] * 2),
        "metrics": [["conf", "agr"], []],
    }
)


def test_text_is_aligned_with_numbers_on_the_right():
    assert as_text(TABLE) == (
        "name           value  rows  at                    metrics\n"
        "----------  --------  ----  --------------------  --------\n"
        "a.png       0.123457     7  2026-03-01 06:30:05Z  conf agr\n"
        'é, "b".png              12  2026-03-01 06:30:05Z\n'
        "(2 rows)\n"
    )


def test_a_table_wider_than_the_terminal_is_shown_row_by_row():
    text = as_text(TABLE.select(["name", "value"]).slice(0, 1), width=10)
    assert text == "name   a.png\nvalue  0.123457\n\n(1 row)\n"


def test_a_cell_wider_than_the_terminal_is_not_cut():
    text = as_text(pa.table({"command": ["rescore " * 40], "n": [1]}), width=80)
    assert text == f"command  {'rescore ' * 40}".rstrip() + "\nn        1\n\n(1 row)\n"


def test_control_characters_do_not_reach_the_terminal():
    names = ["\x1b]0;title\x07", "two\nlines", "\x9b31m", "abc\u202egnp.exe", "naïve 犬"]
    text = as_text(pa.table({"na\x1bme": names, "list": [[name] for name in names]}))
    assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert len(text.splitlines()) == 8
    assert text.splitlines()[0].startswith(r"na\x1bme  ")
    assert r"\x1b]0;title\x07" in text
    assert r"two\nlines" in text
    assert "naïve 犬" in text


def test_spaces_at_the_ends_of_a_cell_are_kept():
    assert as_text(pa.table({"a": ["  x"], "b": [" y"]})) == "a    b\n---  --\n  x   y\n(1 row)\n"


def test_a_long_table_says_that_it_was_cut():
    text = as_text(pa.table({"i": range(1000)}))
    assert len(text.splitlines()) == 203
    assert text.endswith("(1000 rows, the first 200 shown; csv, json and parquet hold all)\n")


def test_an_empty_table_has_its_header():
    assert as_text(TABLE.select(["value"]).slice(0, 0)) == "value\n-----\n(0 rows)\n"


def test_json_keeps_full_precision(capsys):
    show(TABLE, "json", "")
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "name": "a.png",
        "value": 0.123456789,
        "rows": 7,
        "at": "2026-03-01 06:30:05.250000Z",
        "metrics": ["conf", "agr"],
    }
    assert (second["name"], second["value"]) == ('é, "b".png', None)


def test_json_of_what_sql_can_return(capsys):
    odd = pa.table(
        {
            "nan": [float("nan")],
            "share": pa.array([Decimal("0.25")], pa.decimal128(9, 2)),
            "day": [date(2026, 3, 1)],
            "nothing": pa.nulls(1),
        }
    )
    show(odd, "json", "")
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"nan": None, "share": 0.25, "day": "2026-03-01", "nothing": None}


def test_csv_keeps_full_precision(capsys):
    show(TABLE, "csv", "")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in rows] == TABLE["name"].to_pylist()
    assert [row["value"] for row in rows] == ["0.123456789", ""]
    assert [row["metrics"] for row in rows] == ["conf agr", ""]


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_the_suffix_of_a_file_chooses_the_format(tmp_path, capsys, suffix):
    file = tmp_path / f"rows.{suffix}"
    show(TABLE, None, str(file))
    assert capsys.readouterr() == ("", f"2 rows to {file}\n")
    if suffix == "parquet":
        assert pq.read_table(file).equals(TABLE)
    else:
        show(TABLE, suffix, "")
        assert capsys.readouterr().out == file.read_text()


def test_a_given_format_goes_before_the_suffix(tmp_path):
    file = tmp_path / "rows.txt"
    show(TABLE, "json", str(file))
    assert len(json.loads(file.read_text())) == 2


def test_parquet_needs_a_file():
    with pytest.raises(UserError, match="--format parquet: expected --output FILE, got none"):
        show(TABLE, "parquet", "")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--output: expected a file .* got .*/no/rows.csv"):
        show(TABLE, "csv", str(tmp_path / "no" / "rows.csv"))


FORMULAS = pa.table(
    {"=name": ["=1+1", "-1", "a"], "value": [-0.5, -1.0, 2.0], "list": [["@a"]] * 3}
)


def test_csv_runs_no_formula_in_a_spreadsheet(capsys, tmp_path):
    show(FORMULAS, "csv", "")
    assert capsys.readouterr().out == (
        '"\'=name","value","list"\n"\'=1+1",-0.5,"\'@a"\n"-1",-1,"\'@a"\n"a",2,"\'@a"\n'
    )
    show(FORMULAS, None, str(tmp_path / "a.csv"))
    assert "'=1+1" in (tmp_path / "a.csv").read_text()
    show(FORMULAS, "csv", "", raw_csv=True)
    assert capsys.readouterr().out.startswith('"=name","value","list"\n"=1+1",-0.5,"@a"\n')
    show(FORMULAS, "json", "")
    assert json.loads(capsys.readouterr().out)[0] == {
        "=name": "=1+1",
        "value": -0.5,
        "list": ["@a"],
    }


def test_raw_csv_is_about_csv():
    with pytest.raises(UserError, match="--raw-csv: expected it with --format csv, got table"):
        show(FORMULAS, None, "", raw_csv=True)


@pytest.mark.parametrize("style", ["csv", "json", "table"])
def test_a_terminal_gets_no_control_characters_in_any_format(capsys, monkeypatch, style):
    table = pa.table({"name": list(NAMES)})
    show(table, style, "")
    piped = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(table, style, "")
    shown = capsys.readouterr().out
    assert not unprintable(shown)
    assert bool(unprintable(piped)) == (style != "table")  # a program gets the names as they are
