from dataclasses import fields
from datetime import UTC, datetime

import numpy as np
import pytest

from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.explanations import (
    RepresenterModel,
    publish_explanations,
    publish_model,
    write_explanations,
)
from scoring.tables.schemas import REPRESENTER_MODELS, REPRESENTERS
from scoring.tables.whole_partitions import REPRESENTERS_TABLE


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


def stage(storage, path, test_ids, value):
    """Stage one point for each test row; the first row has no label."""
    columns = {field.name: np.zeros(len(test_ids)) for field in REPRESENTERS}
    columns |= {"test_id": np.array(test_ids), "value": np.full(len(test_ids), value)}
    columns["label"] = np.array([-1, *[2] * (len(test_ids) - 1)])
    write_explanations(storage, path, columns)


def values(storage):
    table = Store(storage.uri).representers("digits", "test", "run")
    assert table.schema.equals(REPRESENTERS_TABLE.schema)
    return {row["test_id"]: (row["label"], row["value"]) for row in table.to_pylist()}


def test_staged_explanations_are_published_whole(storage):
    stage(storage, "a", [3, 4], 0.5)
    stage(storage, "b", [7], 0.25)
    publish_explanations(storage, "digits", "test", "run", ["a", "b"], whole=True)
    assert values(storage) == {3: (None, 0.5), 4: (2, 0.5), 7: (None, 0.25)}
    publish_explanations(storage, "digits", "test", "run", ["b"], whole=True)
    assert values(storage) == {7: (None, 0.25)}


def test_some_examples_can_be_replaced(storage):
    stage(storage, "a", [3, 4], 0.5)
    stage(storage, "b", [4, 7], 0.25)
    publish_explanations(storage, "digits", "test", "run", ["a"], whole=True)
    publish_explanations(storage, "digits", "test", "run", ["b"], whole=False)
    assert values(storage) == {3: (None, 0.5), 4: (None, 0.25), 7: (2, 0.25)}
    publish_explanations(storage, "digits", "test", "run", [], whole=False)
    assert len(values(storage)) == 3


def test_a_model_comes_back(storage):
    assert [field.name for field in fields(RepresenterModel)] == REPRESENTER_MODELS.names
    model = RepresenterModel(
        base_run="base",
        layer="fc3",
        penalty=0.003,
        targets="teacher",
        rows=90,
        gradient_norm=1e-9,
        residual_train=1e-6,
        residual_test=2e-6,
        pearson_train=0.99,
        pearson_test=0.98,
        train_version="t",
        test_version="u",
        seconds=1.5,
        solved_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    publish_model(storage, "digits", "run", model)
    (row,) = Store(storage.uri).representer_models("digits").to_pylist()
    assert row == {"dataset": "digits", "run": "run", **vars(model)}
