"""Forgotten rows of a dataset: shards are cut as ingest would cut them, and ids stay."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_here import ingest, missing, parquet, survey_splits

from scoring.data.forget_shards import cut_versions, look_up, remnants
from scoring.data.forgotten import Certificate, kept_ranges
from scoring.data.versions import all_versions, load_version, load_whole_version
from scoring.errors import BadData
from scoring.store.storage import Storage

TEXTS = [f"the text number {i}" for i in range(10)]


@pytest.mark.parametrize(
    ("forgotten", "kept"),
    [
        ([9, 15], [(10, 5)]),
        ([10, 12], [(11, 1), (13, 2)]),
        ([11, 12, 14], [(10, 1), (13, 1)]),
        ([10, 11, 12, 13, 14], []),
    ],
)
def test_the_ranges_between_forgotten_ids(forgotten, kept):
    assert kept_ranges(10, 5, forgotten) == kept


@pytest.fixture
def source(tmp_path):
    for split in ("train", "test"):
        names = [f"{split}-{i}" for i in range(len(TEXTS))]
        table = pa.table({"text": TEXTS, "label": [0, 1] * 5, "name": names})
        pq.write_table(table, tmp_path / f"{split}.parquet")
    paths = (str(tmp_path / f"{split}.parquet") for split in ("train", "test"))
    columns = {"label_column": "label", "id_column": "name", "image_column": ""}
    return parquet(*paths, text_column="text", **columns)


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def begin(storage, *ids):
    versions = all_versions(storage, "mine", "train")
    found = look_up(storage, versions, ids)
    certificate = Certificate(
        id="20261127T080000Z-00000000",
        dataset="mine",
        split="train",
        ids=ids,
        names=found.names,
        hashes=found.hashes,
        shards=found.shards,
        began_at="2026-11-27T08:00:00+00:00",
    )
    certificate.save(storage)
    return certificate


def test_parts_are_those_that_ingest_makes(source, storage, tmp_path):
    before = ingest(source, storage)["train"]
    certificate = begin(storage, 1, 2, 8)
    assert certificate.names == ("train-1", "train-2", "train-8")
    (cut,) = cut_versions(storage, certificate, lambda: None)
    ranges = [(shard.first_id, shard.rows) for shard in cut.after.shards]
    assert ranges == [(0, 1), (3, 1), (4, 4), (9, 1)]
    assert missing(survey_splits(source, storage)) == []  # the receipts are there already

    elsewhere = Storage(str(tmp_path / "elsewhere"))
    certificate.save(elsewhere)
    made = ingest(source, elsewhere)["train"]
    assert made.shards == cut.after.shards
    assert made.version == cut.after.version != before.version
    assert ingest(source, storage)["train"] == made


def test_an_earlier_version_keeps_its_name_and_loses_the_rows(source, storage):
    before = ingest(source, storage)
    certificate = begin(storage, 1, 2, 8)
    for cut in cut_versions(storage, certificate, lambda: None):
        cut.rewrite(storage)
    receipts, shards = remnants(storage, certificate)
    assert len(receipts) == 2
    assert {path.rpartition("/")[2].removesuffix(".parquet") for path in shards} == {
        *certificate.shards
    }
    version = before["train"].version
    then = load_version(storage, "mine", "train", version)
    assert (then.version, then.rows, then.rows_then) == (version, 7, 10)
    with pytest.raises(BadData, match="got 7 of 10, because the others were forgotten"):
        load_whole_version(storage, "mine", "train", version)
    whole = load_whole_version(storage, "mine", "test", before["test"].version)
    assert whole == before["test"]


def test_a_second_cut_goes_on_from_the_first(source, storage, tmp_path):
    ingest(source, storage)
    for cut in cut_versions(storage, begin(storage, 1), lambda: None):
        cut.rewrite(storage)
    second = replace(begin(storage, 6), id="20261128T080000Z-00000000")
    begin(storage, 1)
    second.save(storage)
    for cut in cut_versions(storage, second, lambda: None):
        cut.rewrite(storage)
    assert missing(survey_splits(source, storage)) == []
    (now,) = (v for v in all_versions(storage, "mine", "train") if not v.named)
    ranges = [(shard.first_id, shard.rows) for shard in now.shards]
    assert ranges == [(0, 1), (2, 2), (4, 2), (7, 1), (8, 2)]


def test_a_forgotten_example_does_not_come_back_under_another_id(source, storage, tmp_path):
    ingest(source, storage)
    begin(storage, 5)
    table = pq.read_table(tmp_path / "train.parquet").slice(1)
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(BadData, match="row 4: expected no forgotten example, got one"):
        ingest(source, storage)
