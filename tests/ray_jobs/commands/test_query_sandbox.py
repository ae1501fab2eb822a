"""`protoscore query` reads the published tables and nothing else, unless `--unsafe` allows it."""

from pathlib import Path

import pytest
from score_tables import part

from ray_jobs.cli import main
from scoring.errors import UserError
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.publish import publish

SECRET = "hunter2"
FORBIDDEN = {
    # other files
    "read_csv": "from read_csv('{secret}')",
    "read_text": "from read_text('{secret}')",
    "read_blob": "select content::varchar from read_blob('{secret}')",
    "read_json": "from read_json('{secret}', format = 'unstructured')",
    "sniff_csv": "from sniff_csv('{secret}')",
    "glob": "from glob('{folder}/*')",
    "a file as a table": "from '{secret}'",
    "a file as a table, with its scheme": "from 'file://{secret}'",
    "read_parquet": "from read_parquet('{published}')",
    "parquet_metadata": "from parquet_metadata('{published}')",
    "a query in a query": "from query('from read_text(''{secret}'')')",
    "a serialised query": "from json_execute_serialized_sql("
    "json_serialize_sql('from read_text(''{secret}'')'))",
    "pivot over a file": "pivot (from read_csv('{secret}', header = false)) on column0",
    "describe a file": "describe from read_csv('{secret}')",
    "the environment as a file": "from read_text('/proc/self/environ')",
    # writing
    "copy over published data": "copy (select 1 as x) to '{published}' (format parquet)",
    "copy into the store": "copy (select 1 as x) to 'store://tables/scores/new.parquet'",
    "copy to a file": "copy (select 1) to '{free}'",
    "copy in a with": "with w as (copy (select 1) to '{free}') from w",
    "copy in an explain": "explain analyze copy (select 1) to '{free}'",
    "copy after a select": "select 1; copy (select 1) to '{free}'",
    "copy to the terminal": "copy (select 1) to '/dev/stdout'",
    "copy from": "create table t (x varchar); copy t from '{secret}'; from t",
    "export": "export database '{free}'",
    "import": "import database '{folder}'",
    # other databases and code
    "attach": "attach '{free}' as a",
    "attach in memory": "attach ':memory:' as a",
    "install": "install httpfs",
    "load": "load httpfs",
    "load a library": "load '{secret}'",
    "update extensions": "update extensions",
    "create a secret": "create secret (type s3, key_id 'x', secret 'y')",
    # settings
    "set": "set threads = 1",
    "set access": "set enable_external_access = true",
    "reset": "reset threads",
    "pragma": "pragma enable_profiling",
    "pragma with a file": "pragma profile_output = '{free}'",
    "call": "call enable_logging()",
    "a setting by a table function": "from enable_logging('QueryLog', storage_path = '{free}')",
    "use": "use memory",
    "create": "create table t as select 1",
    "drop": "drop view scores",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store, and beside it a file that is none of its business."""
    folder = tmp_path_factory.mktemp("sandbox")
    storage = Storage(str(folder / "store"))
    publish(storage, [part(n=9)])
    storage.write("runs/r1/run.parquet", SECRET.encode())
    (folder / "secret.csv").write_text(f"word\n{SECRET}\n")
    return folder


def filled_in(statement, folder):
    (published,) = (folder / "store" / "tables" / "scores").rglob("*.parquet")
    return statement.format(
        secret=folder / "secret.csv",
        folder=folder,
        published=published,
        free=folder / "free",
    )


def contents(folder: Path):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_query_reads_the_tables_and_does_nothing_else(folder, name, capfd, monkeypatch):
    monkeypatch.chdir(folder)
    before = contents(folder)
    statement = filled_in(FORBIDDEN[name], folder)
    assert main(["query", statement, "--store", str(folder / "store")]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("protoscore: error: query: expected ")
    assert said.err.count("\n") == 1
    assert "--unsafe" in said.err
    assert SECRET not in said.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    "statement",
    [
        "select getenv('HOME')",
        "from folder",  # a variable of Python
        "from arrow_scan(1, 2, 3)",
        "from pandas_scan(1)",
        "from read_parquet('store://tables/scores/nothing.parquet')",
        "from read_text('store://runs/r1/run.parquet')",
        "from read_text('store://tables/../runs/r1/run.parquet')",
        "from read_text('store://tables/scores/_delta_log/00000000000000000001.json')",
        "with w as (copy (select 1) to 'store://tables/scores/new.parquet') from w",
    ],
)
def test_nothing_else_is_in_reach(folder, statement, capsys):
    before = contents(folder)
    assert main(["query", statement, "--store", str(folder / "store")]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert SECRET not in said.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("name", "last", "want"),
    [
        ("read_csv", "", SECRET),
        ("a file as a table", "", SECRET),
        ("read_text", "", SECRET),
        ("glob", "", "secret.csv"),
        ("read_parquet", "", "image-"),
        ("copy from", "", SECRET),
        ("copy to a file", "; from read_csv('{free}')", "1"),
        ("attach", "; create table a.t as from scores; select count(*) from a.t", "9"),
        ("set", "; select current_setting('threads')", "1"),
        ("create", "; from t", "1"),
    ],
)
def test_unsafe_allows_it(folder, name, last, want, capsys):
    statement = filled_in(FORBIDDEN[name] + last, folder)
    assert main(["query", statement, "--store", str(folder / "store"), "--unsafe"]) == 0
    assert want in capsys.readouterr().out
    (folder / "free").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) as n from scores",
        "from scores select count(*) as n",
        "with s as (from scores) select count(*) as n from s",
        "select 1; select count(*) as n from scores",
        "select n from (pivot scores on metric using count(*) as n group by dataset) p(d, n)",
        "values (9)",
    ],
)
def test_everything_that_reads_the_tables_is_allowed(folder, query):
    assert Store(str(folder / "store")).sql(query)[0].to_pylist() == [9]


def test_pivot_is_allowed(folder):
    got = Store(str(folder / "store")).sql("pivot scores on metric using count(*)")
    assert "conf" in got.column_names


def test_a_query_leaves_nothing_in_the_current_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "secret.csv").write_text(SECRET)
    with pytest.raises(UserError, match="--unsafe"):
        Store(str(folder / "store")).sql("from read_text('.tmp/secret.csv')")


@pytest.mark.s3
def test_on_s3_too(s3_store, capfd):
    bucket = s3_store.rpartition("/")[0]
    publish(Storage(s3_store), [part(n=9)])
    Storage(s3_store).write("runs/r1/run.parquet", SECRET.encode())
    Storage(f"{bucket}/elsewhere").write("secret.csv", f"word\n{SECRET}\n".encode())
    secret = f"{bucket}/elsewhere/secret.csv"
    (published,) = (
        f"{s3_store}/{f.path}"
        for f in Storage(s3_store).walk("tables/scores")
        if f.path.endswith("parquet")
    )
    before = {f.path: f.modified for f in Storage(bucket).walk("")}
    for statement in (
        f"from read_csv('{secret}')",
        f"from read_text('{secret}')",
        f"from '{secret}'",
        f"from glob('{bucket}/*')",
        f"copy (select 1 as x) to '{published}' (format parquet)",
        f"copy (select 1) to '{bucket}/free.csv'",
        f"with w as (copy (select 1) to '{bucket}/free.csv') from w",
        f"attach '{bucket}/free.db' as a",
        "from read_text('store://runs/r1/run.parquet')",
        "from read_text('/etc/passwd')",
        "set threads = 1",
    ):
        assert main(["query", statement, "--store", s3_store]) == 2, statement
        said = capfd.readouterr()
        assert said.out == ""
        assert "--unsafe" in said.err or "store://" in statement
        assert said.err.count("\n") == 1
        assert SECRET not in said.err
    assert {f.path: f.modified for f in Storage(bucket).walk("")} == before
    rows = Store(s3_store).sql(f"from read_csv('{secret}')", unsafe=True)
    assert rows.to_pylist() == [{"word": SECRET}]
    assert Store(s3_store).sql("select count(*) as n from scores").to_pylist() == [{"n": 9}]
