import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from score_tables import part

from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import Finding, publish_evaluation
from scoring.tables.leftovers import leftovers
from scoring.tables.publish import publish
from scoring.tables.whole_partitions import EVALUATIONS_TABLE


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


def finding(value=0.5, **fields):
    columns = {"subject": "vog", "part": "1", "measure": "error_rate", "rows": 10, **fields}
    return Finding(value=value, **columns)


def test_findings_come_back(storage):
    found = [finding(), finding(math.nan, part="2"), finding(0.7, part="all", spread=0.1)]
    publish_evaluation(storage, "digits", "deciles", found, "protoscore evaluate deciles")
    table = Store(storage.uri).evaluations("digits", "deciles")
    assert table.schema.equals(EVALUATIONS_TABLE.schema)
    rows = sorted(table.to_pylist(), key=lambda row: row["part"])
    assert [row["value"] for row in rows] == [0.5, None, 0.7]
    assert [row["spread"] for row in rows] == [None, None, 0.1]
    assert {row["command"] for row in rows} == {"protoscore evaluate deciles"}
    assert datetime.now(UTC) - rows[0]["evaluated_at"] < timedelta(minutes=5)


def test_an_evaluation_replaces_only_its_own_findings(storage):
    for value in (0.1, 0.2):
        publish_evaluation(storage, "digits", "deciles", [finding(value)], "")
        publish_evaluation(storage, "digits", "ood", [finding(value + 1)], "")
        publish_evaluation(storage, "a/b=c", "deciles", [finding(value + 2)], "")
    store = Store(storage.uri)
    assert sorted(store.evaluations()["value"].to_pylist()) == [0.2, 1.2, 2.2]
    assert store.evaluations("a/b=c")["value"].to_pylist() == [2.2]
    assert store.evaluations(evaluation="ood")["dataset"].to_pylist() == ["digits"]


def test_concurrent_evaluations_lose_nothing(storage):
    names = [f"evaluation-{i}" for i in range(6)]

    def write(name):
        publish_evaluation(storage, "digits", name, [finding()], "")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, names))
    assert sorted(Store(storage.uri).evaluations()["evaluation"].to_pylist()) == names


def test_no_evaluation_is_an_empty_table(storage):
    assert len(Store(storage.uri).evaluations()) == 0


def test_sql_joins_findings_with_scores(storage):
    publish(storage, [part()])
    publish_evaluation(storage, "digits", "deciles", [finding()], "")
    query = """
        select e.value, count(*) as n from evaluations e, scores s
        where s.dataset = e.dataset group by all
    """
    assert Store(storage.uri).sql(query).to_pylist() == [{"value": 0.5, "n": 30}]


def test_findings_are_no_leftovers(storage):
    publish(storage, [part()])
    publish_evaluation(storage, "digits", "deciles", [finding()], "")
    found = leftovers(storage, datetime.now(UTC) + timedelta(hours=1))
    assert not [file.path for file in found["tables"]]
