"""The views of a query: what there is, names, classes, metrics, and what is read for it."""

import io
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from score_tables import CLASSES, night_row, part, run_row, write_classes

from ray_jobs.commands.query import QueryFlags
from scoring.errors import UserError
from scoring.registry import metrics
from scoring.store.parquet import write_parquet
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.delta import open_table, table_uri
from scoring.tables.findings import Finding, publish_evaluation
from scoring.tables.history import open_scores
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import SCORES, SCORES_TABLE, comment_of
from scoring.tables.views import views
from scoring.tables.whole_partitions import EVALUATIONS_TABLE

FINDING = Finding(subject="conf", part="", measure="auroc", value=0.5, rows=9)


@pytest.fixture
def storage(tmp_path):
    """A store with two metrics of a split, one of another, and one of a dataset beside it."""
    storage = Storage(str(tmp_path / "store"))
    conf, train = part("conf", night=2), part("conf", split="train", n=40)
    renamed, rows = part("agr", dataset="beside", n=9)
    settings = {**renamed.settings, "dataset": "digits"}
    publish(storage, [conf, part("agr", n=20), train, (replace(renamed, settings=settings), rows)])
    write_classes(storage, conf[0])
    write_classes(storage, train[0])
    return storage


@pytest.fixture
def reads(storage, monkeypatch):
    """The paths that are read from the store."""
    paths = []

    def watch(name):
        plain = getattr(Storage, name)

        def watched(self, path, *arguments):
            paths.append(path)
            return plain(self, path, *arguments)

        monkeypatch.setattr(Storage, name, watched)

    watch("read")
    watch("read_range")
    return paths


def rows(storage, query, **options):
    return Store(storage.uri).sql(query, **options).to_pylist()


# -- what there is ---------------------------------------------------------------------------------


def known_views(storage):
    return views(storage, open_scores(storage), None, names=False)


@pytest.mark.parametrize("query", ["show tables", "SHOW TABLES;", "select name from (show tables)"])
def test_show_tables_lists_all_views(storage, query):
    assert {row["name"] for row in rows(storage, query)} == {*known_views(storage)}


def test_describe_says_the_columns_of_every_view(storage):
    for name, view in known_views(storage).items():
        found = rows(storage, f"describe {name}")
        assert [row["column_name"] for row in found] == view.columns.names
        everything = {row["name"]: row for row in rows(storage, "describe")}
        assert everything[name]["column_names"] == view.columns.names
        assert everything[name]["column_types"] == [row["column_type"] for row in found]


def test_the_views_have_the_columns_that_they_declare(storage):
    append_night(storage, night_row("night-1"), [run_row("night-1")])
    publish_evaluation(storage, "digits", "noise", [FINDING], "evaluate")
    for name, view in known_views(storage).items():
        found = Store(storage.uri).sql(f"select * from {name}").schema
        assert found.equals(view.columns), name


def test_every_column_of_every_view_has_a_comment(storage):
    want = {
        (name, column.name): comment_of(column)
        for name, view in known_views(storage).items()
        for column in view.columns
    }
    assert all(want.values())
    query = "select table_name, column_name, comment from duckdb_columns() where not internal"
    found = rows(storage, query)
    assert {(row["table_name"], row["column_name"]): row["comment"] for row in found} == want


def test_the_help_names_all_views(storage):
    said = " ".join(str(QueryFlags.__doc__).split())
    listed = said.partition("Tables: ")[2].partition(".")[0].split(", ")
    assert sorted(listed) == sorted(known_views(storage))


def test_asking_what_there_is_reads_no_data(storage, reads):
    rows(storage, "show tables")
    rows(storage, "select * from information_schema.columns")
    assert not [path for path in reads if "_delta_log" not in path and path != "protoscore.json"]


def test_what_only_stands_in_for_a_table_is_never_taken_for_it(storage):
    with pytest.raises(UserError, match="runs: expected its name in the query"):
        rows(storage, "with t as (show tables) from query_table('runs')")


# -- class names -----------------------------------------------------------------------------------


def test_labels_and_predictions_have_names(storage):
    found = rows(storage, "select * from scores")
    assert len(found) == 99
    for row in found:
        label, predicted = row["label"], row["predicted"]
        assert row["label_name"] == (None if label is None else CLASSES[label])
        assert row["predicted_name"] == CLASSES[predicted]


def test_names_change_nothing_else(storage):
    query = "select * exclude (label_name, given_label_name, predicted_name) from scores"
    order = [(column, "ascending") for column in ("dataset", "split", "metric", "example_id")]
    want = Store(storage.uri).scores()
    assert want.schema.names == SCORES_TABLE.names
    assert Store(storage.uri).sql(query).sort_by(order).equals(want.sort_by(order))


@pytest.mark.parametrize("name", ["it's", 'a "b"', "ü\n\t", "back\\slash", "犬", "\x1b[2J", ""])
def test_names_come_through_as_they_are(tmp_path, name):
    storage = Storage(str(tmp_path / "store"))
    conf = part("conf", n=9)
    publish(storage, [conf])
    write_classes(storage, conf[0], ("a", name, "c"))
    found = rows(storage, "select distinct label_name from scores where label = 1")
    assert found == [{"label_name": name}]


@pytest.mark.parametrize("name", ["{uri}", "x'{uri}", "['{uri}']", "store:{uri}"])
def test_a_class_named_like_a_file_lets_nobody_read_it(tmp_path, name):
    storage = Storage(str(tmp_path / "store"))
    conf = part("conf", n=9)
    publish(storage, [conf])
    write_parquet(storage, "secret.parquet", pa.table({"word": ["hunter2"]}))
    uri = "store://secret.parquet"
    named = name.format(uri=uri)
    write_classes(storage, conf[0], ("a", named, "c"))
    found = rows(storage, "select distinct label_name from scores where label = 1")
    assert found == [{"label_name": named}]
    for view in ("scores", "classes"):
        with pytest.raises(UserError, match="expected the tables by their names"):
            rows(storage, f"select word, label_name from read_parquet('{uri}'), {view}")


def test_a_dataset_without_class_names_has_none(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    publish(storage, [part("conf", n=9)])
    query = "select distinct label_name, predicted_name from scores"
    assert rows(storage, query) == [{"label_name": None, "predicted_name": None}]


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from scores",
        "select metric, avg(value) from scores group by 1",
        "select * from scores limit 0",
        "select count(*) from (select * from scores) where label = 1",
        "select s.name, t.percentile from scores s join scores t using (split, example_id)",
        "select example_id from scores where metric = 'conf' order by rank limit 5",
        "describe scores",
    ],
)
def test_a_query_without_names_reads_none(storage, reads, query):
    rows(storage, query)
    assert reads
    assert not [path for path in reads if path.startswith(("datasets/", "tables/manifests/"))]


@pytest.mark.parametrize(
    "query",
    [
        "select label_name from scores",
        "from scores",
        "select s.s.label_name from (select s from scores s) s",
        "select columns('^l') from scores",
        "select max(columns('^label.name')) from scores",
        "select try(columns('^label')) from scores",
        "summarize scores",
        "select * from scores order by value limit 1",
    ],
)
def test_a_query_with_names_reads_them(storage, reads, query):
    assert CLASSES[2] in str(rows(storage, query)) or CLASSES[0] in str(rows(storage, query))
    assert [path for path in reads if path.startswith("datasets/")]


def test_an_unsafe_statement_runs_once(storage, tmp_path):
    query = f"copy (from scores) to '{tmp_path}/free.csv'; from read_csv('{tmp_path}/free.csv')"
    assert {row["label_name"] for row in rows(storage, query, unsafe=True)} == {None, *CLASSES}


def test_a_query_cannot_pretend_to_need_names(storage):
    with pytest.raises(UserError, match="query: expected SQL"):
        rows(storage, "select error('protoscore: a deferred column')")


# -- classes ---------------------------------------------------------------------------------------


def test_classes_are_counted(storage):
    found = rows(storage, "select * from classes where dataset = 'digits' and split = 'test'")
    ranked = Store(storage.uri).scores("digits", "test", "conf").to_pylist()
    assert [row["label"] for row in found] == [0, 1, 2]
    assert [row["label_name"] for row in found] == [*CLASSES]
    for row in found:
        of_class = [r for r in ranked if r["label"] == row["label"]]
        right = [r for r in of_class if r["predicted"] == row["label"]]
        assert row["rows"] == len(of_class)
        assert row["accuracy"] == len(right) / len(of_class)
        assert row["predicted_rows"] == sum(r["predicted"] == row["label"] for r in ranked)


def test_a_class_without_rows_is_a_class(storage):
    conf = part("conf", n=30)
    write_classes(storage, conf[0], (*CLASSES, "none"))
    query = "select label_name, rows, predicted_rows, accuracy from classes where label = 3"
    want = {"label_name": "none", "rows": 0, "predicted_rows": 0, "accuracy": None}
    assert rows(storage, f"{query} and (dataset, split) = ('digits', 'test')") == [want]


def test_classes_are_those_of_the_partition_planned_last(storage):
    publish(storage, [part("agr", key="k2", night=3, n=12)])
    query = "select sum(rows)::int as n from classes where dataset = 'digits' and split = 'test'"
    assert rows(storage, query) == [{"n": 11}]  # one of 12 has no label
    assert rows(storage, query, at=1) == [{"n": 29}]


# -- metrics ---------------------------------------------------------------------------------------


def test_metrics_are_what_the_registry_has(storage):
    found = rows(storage, "from metrics")
    assert [row["metric"] for row in found] == [*metrics()]
    for row in found:
        spec = metrics()[row["metric"]]
        assert row["direction"] == spec.prototypical
        for name in ("purpose", "summary", "unit", "ranked_by", "source", "version"):
            assert row[name] == getattr(spec, name)


def test_scores_join_metrics(storage):
    query = "select distinct metric, purpose from scores join metrics using (metric) order by 1"
    want = [{"metric": m, "purpose": "atypical"} for m in ("agr", "conf")]
    assert rows(storage, query) == want


# -- what a query reads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "select * from evaluations where evaluation = 'classes'",
        "select * from evaluations -- not scores",
        "select /* classes, scores */ 'scores' as x from evaluations",
    ],
)
def test_a_word_in_a_string_or_comment_is_no_table(storage, reads, query):
    publish_evaluation(storage, "digits", "classes", [FINDING], "evaluate")
    reads.clear()
    rows(storage, query)
    assert not [path for path in reads if path.startswith("tables/scores/dataset=")]
    assert not [path for path in reads if path.startswith("tables/manifests/")]


@pytest.mark.parametrize(
    "query", ["from SCORES", 'from "scores"', "from main.scores", "table scores"]
)
def test_a_table_is_found_however_it_is_written(storage, query):
    assert len(rows(storage, query)) == 99


# -- comments in the log ---------------------------------------------------------------------------


def test_a_new_table_has_comments_that_other_tools_read(storage):
    publish_evaluation(storage, "digits", "noise", [FINDING], "evaluate")
    for name, schema in (("scores", SCORES_TABLE), ("evaluations", EVALUATIONS_TABLE.schema)):
        fields = {f.name: f for f in DeltaTable(table_uri(storage, name)).schema().fields}
        assert {n: f.metadata["comment"] for n, f in fields.items()} == {
            column.name: comment_of(column) for column in schema
        }


def test_a_table_without_comments_goes_on_without(tmp_path, monkeypatch):
    """As an earlier version made it."""
    storage = Storage(str(tmp_path / "store"))
    plain = pa.schema(map(pa.Field.remove_metadata, SCORES_TABLE))
    with monkeypatch.context() as earlier:
        earlier.setattr("scoring.tables.publish.SCORES_TABLE", plain)
        publish(storage, [part("conf")])
    publish(storage, [part("agr", n=20)])
    table = open_table(storage, "scores")
    assert not any(field.metadata for field in table.schema().fields)
    assert rows(storage, "select count(*) as n from scores") == [{"n": 50}]


def test_files_are_without_comments(storage):
    (path, *_) = (f.path for f in storage.walk("tables/scores") if f.path.endswith(".parquet"))
    found = pq.read_schema(io.BytesIO(storage.read(path)))
    assert found.equals(SCORES)
    assert not any(column.metadata for column in found)
