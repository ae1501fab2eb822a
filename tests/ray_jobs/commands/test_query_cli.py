import json
import subprocess
import sys

import pytest
from score_tables import CLASSES, night_row, part, run_row, write_classes

from ray_jobs.cli import main
from ray_jobs.commands import query
from scoring.store.storage import Storage
from scoring.tables.nights import append_night
from scoring.tables.publish import publish

PARTS = [part("conf"), part("agr", n=20)]
# Slow to import; pyarrow imports pandas to make Python's own times.
HEAVY = ("torch", "ray", "pandas")


def build_a_night(storage):
    publish(storage, PARTS)
    append_night(storage, night_row("night-1"), [run_row("night-1")])
    write_classes(storage, PARTS[0][0])


@pytest.fixture
def store(store_uri, lay_down, monkeypatch):
    lay_down(Storage(store_uri), build_a_night)
    monkeypatch.setenv("PROTOSCORE_STORE", store_uri)
    return store_uri


@pytest.fixture
def local(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    publish(storage, PARTS)
    write_classes(storage, PARTS[0][0])
    return storage.uri


def as_json(capsys):
    return json.loads(capsys.readouterr().out)


def test_query(store, capsys):
    assert query.main(["select metric, count(*) as n from scores group by 1 order by 2"]) == 0
    assert capsys.readouterr().out == "metric   n\n------  --\nagr     20\nconf    30\n(2 rows)\n"


def test_query_as_it_was(store, capsys):
    publish(Storage(store), [part(key="k2", night=2, n=9)])
    counts = "select count(*) as n from scores where metric = 'conf'"
    assert query.main([counts, "--at", "1", "--format", "json"]) == 0
    assert as_json(capsys) == [{"n": 30}]
    assert query.main([counts, "--format", "json"]) == 0
    assert as_json(capsys) == [{"n": 9}]


def test_columns_of_the_same_name_are_told_apart(store, capsys):
    joined = "select n.rows, r.rows from nights n join runs r using (night_id)"
    assert query.main([joined, "--format", "json"]) == 0
    assert as_json(capsys) == [{"rows": 60, "rows_1": 100}]


def test_query_into_a_file(local, tmp_path, capsys):
    file = tmp_path / "rows.csv"
    ask = ["select example_id from scores", "--store", local, "--output", str(file)]
    assert query.main(ask) == 0
    assert len(file.read_text().splitlines()) == 51


@pytest.mark.parametrize(
    ("command", "ranks"), [("outliers", [0, 1, 2]), ("prototypes", [28, 27, 26])]
)
def test_both_ends(store, capsys, command, ranks):
    arguments = [command, "--metric", "conf", "-n", "3", "--format", "json"]
    assert main(arguments) == 0
    rows = as_json(capsys)
    assert [row["rank"] for row in rows] == ranks
    assert main([*arguments, "--label", "bag", "--dataset", "digits"]) == 0
    assert {(row["label"], row["label_name"]) for row in as_json(capsys)} == {(1, CLASSES[1])}


@pytest.mark.parametrize(
    ("metric", "basis"),
    [("vog", "ranked by class z"), ("conf", "ranked by value"), ("ours", "")],
)
def test_the_ends_say_what_they_are_ranked_by(tmp_path, metric, basis, capsys):
    store = str(tmp_path / "store")
    publish(Storage(store), [part(metric)])
    for command, first in (("outliers", "least"), ("prototypes", "most")):
        assert main([command, "--metric", metric, "-n", "3", "--store", store]) == 0
        shown = capsys.readouterr().out
        caption = basis and f"; {first} prototypical first, {basis}"
        assert shown.endswith(f"(3 rows{caption})\n")
        assert "class_z" in shown
        arguments = [command, "--metric", metric, "--store", store, "--format"]
        assert main([*arguments, "json"]) == 0
        assert len(as_json(capsys)) == 10


def test_metrics_are_listed_by_purpose(capsys):
    assert main(["metrics", "--format", "json"]) == 0
    rows = as_json(capsys)
    assert [row["purpose"] for row in rows] == sorted(row["purpose"] for row in rows)
    assert {row["metric"]: row["ranked_by"] for row in rows}["vog"] == "class_z"


def test_tables_and_their_columns_are_listed(store, capsys):
    assert query.main(["show tables", "--format", "json"]) == 0
    assert {"scores", "classes", "metrics", "nights"} <= {row["name"] for row in as_json(capsys)}
    assert query.main(["describe nights"]) == 0
    assert "commit_version" in capsys.readouterr().out
    named = "select distinct label_name from scores where label = 1"
    assert query.main([named, "--format", "json"]) == 0
    assert as_json(capsys) == [{"label_name": CLASSES[1]}]


# -- in a process of its own -----------------------------------------------------------------------

COMMANDS = {
    "query": ["query", "select * from scores order by rank"],
    "query help": ["query", "--help"],
    "outliers": ["outliers", "--metric", "conf"],
    "prototypes help": ["prototypes", "--help"],
    "metrics": ["metrics"],
    "metrics help": ["metrics", "--help"],
}
WATCHED = """
import atexit, os, runpy, sys
def report():
    heavy = {name.partition('.')[0] for name in sys.modules}.intersection(%r)
    print('imported:', sorted(heavy), 'cpu:', sum(os.times()[:2]), file=sys.stderr)
atexit.register(report)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_waits_for_nothing_heavy(local, name, monkeypatch):
    """In processor seconds, which a busy machine does not lengthen."""
    monkeypatch.setenv("PROTOSCORE_STORE", local)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED % (HEAVY,), "ray_jobs.cli", *COMMANDS[name]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shown = {"query": "rows)", "outliers": "ranked by value)", "metrics": "rows)"}
    assert shown.get(name, "usage: protoscore") in done.stdout
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("imported: [] cpu: "), said
    assert float(said.rpartition(" ")[2]) < 2.0


def run(*arguments, store):
    return subprocess.run(
        [sys.executable, "-m", "ray_jobs.cli", *arguments, "--store", store],
        capture_output=True,
        text=True,
    )


def test_errors_are_one_line_and_exit_code_2(local, tmp_path):
    empty = str(tmp_path / "empty")
    failures = [
        (
            run("query", "select nope from scores", store=local),
            "query: expected SQL",
        ),
        (run("query", "select 1", store=empty), "--store: expected a store with"),
        (
            run("outliers", "--metric", "x", store=local),
            "--metric: expected one of agr, conf, got 'x'",
        ),
        (
            run("outliers", "--metric", "x", "-n", "many", store=local),
            "-n/--n: expected a whole number, got 'many'",
        ),
        (run("middle", store=local), "expected one of rescore, "),
    ]
    for done, message in failures:
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith(f"protoscore: error: {message}")
        assert done.stderr.count("\n") == 1


def test_a_reader_that_stops_early_is_no_error(local):
    ask = "select s.* from scores s, range(2000)"  # more than a pipe holds
    query = ["query", ask, "--format", "csv", "--store", local]
    command = [sys.executable, "-m", "ray_jobs.cli", *query]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b'"dataset"')
        process.stdout.close()
        assert process.wait(timeout=120) == 0
        assert process.stderr.read() == b""
