import json
import math

import pytest

from ray_jobs.jobs.job_record import JobRecord
from scoring.data.images import ImageShape
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.errors import BadStore
from scoring.representers.decomposition import Exactness
from scoring.run_spec import NetSpec, Privacy, Recipe, Representer, RunSpec
from scoring.runs.at_rest import Evidence
from scoring.runs.record import RunRecord
from scoring.store.keys import digest, jsonable
from scoring.store.mark import ensure_marked
from scoring.store.records import (
    from_json,
    read_either,
    read_record,
    read_records,
    read_sound_records,
    write_record,
    write_twice,
)
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest, Partition


def to_json(record):
    return json.dumps(jsonable(record)).encode()


NET = NetSpec(name="mlp", width=2, mean=(0,), class_order=(1, 0))
PARENT = RunSpec(kind="private", split="test", net=NET, privacy=Privacy(epsilon=1, delta=1e-5))
SPEC = RunSpec(
    kind="representer",
    split="train",
    net=NET,
    recipe=Recipe(milestones=(3, 5)),
    parent=PARENT,
    representer=Representer(penalty=0.1),
)
RUN = RunRecord(
    key="k",
    label="a run",
    kind="representer",
    split="train",
    net=NET,
    spec=SPEC,
    versions={"train": "v"},
    shape=(8, 8, 1),
    classes=2,
    rows=10,
    epochs=0,
    losses=(),
    train_accuracy=None,
    test_accuracy=0.5,
    epsilon=None,
    noise_multiplier=None,
    seconds=1.5,
    host="here",
    device="cpu",
    trained_at="2026-01-01T00:00:00+00:00",
)
MANIFEST = Manifest(
    partition=Partition("mine", "train", "conf"),
    key="k1",
    night_id="n",
    planned_at="2026-01-01T00:00:00+00:00",
    settings={"net": "mlp", "seeds": [1, 2]},
    dataset_version="v",
    trained_on={"train": "v"},
    runs=("a", "b"),
    rows=3,
)
JOB = JobRecord(
    job_id="j",
    job="rescore",
    dataset="mine",
    command="protoscore rescore",
    host="here",
    pid=1,
    started_at="2026-01-01T00:00:00+00:00",
    seen_at="2026-01-01T00:00:00+00:00",
)
VERSION = DatasetVersion(
    name="mine",
    split="train",
    classes=("ant", "bee"),
    shape=TextShape(tokens=4),
    shards=(ShardRecord(content="c", first_id=0, rows=5, undecodable=1, trainable=4),),
    ranges={"a.parquet@0": (0, 5)},
)
LAYOUT = Layout(classes=("ant",), shape=ImageShape(height=8, width=8, channels=1), state="s")


@pytest.mark.parametrize(
    "record", [RUN, SPEC, MANIFEST, JOB, VERSION, LAYOUT], ids=lambda record: type(record).__name__
)
def test_records_round_trip_and_ignore_fields_of_later_versions(record):
    raw = {**json.loads(to_json(record)), "from_a_later_version": 1}
    assert from_json(json.dumps(raw).encode(), type(record), "x.json") == record


def test_missing_fields_take_their_defaults():
    raw = json.loads(to_json(SPEC))
    for name in ("keep_epochs", "threads"):
        del raw[name]
    del raw["parent"]["representer"], raw["recipe"]["until_flat"]
    assert from_json(json.dumps(raw).encode(), RunSpec, "run.json") == SPEC


def test_a_spec_keeps_its_key_when_it_is_read_back():
    # Keys hash an int and a float differently, and a user's manifest may hold either.
    assert digest(from_json(to_json(SPEC), RunSpec, "run.json")) == digest(SPEC)


def test_no_key_is_made_of_an_infinite_number():
    with pytest.raises(BadStore, match="expected records with finite numbers"):
        digest([1.0, {"rate": float("inf")}])


def test_nan_is_read_back():
    exact = Exactness(residual=0.0, pearson=math.nan, mean_difference=0.0)
    evidence = Evidence(layer="2", is_last=True, gradient_norm=0.0, train=exact, test=exact)
    assert math.isnan(from_json(to_json(evidence), Evidence, "layer.json").train.pearson)


DEEP = 50_000
GARBAGE = {
    "nested": (b"[" * DEEP, r"no JSON object \(lists or objects nested too deeply\)"),
    "a string for a list": (
        to_json(RUN).replace(b'"mean": [0]', b'"mean": "55"'),
        r"no tuple\[float, \.\.\.\] @ \$\.net\.mean",
    ),
    "a list for an object": (
        to_json(RUN).replace(b'"recipe": {', b'"recipe": [], "was": {', 1),
        r"no Recipe @ \$\.spec\.recipe",
    ),
    "more than 64 bits": (
        to_json(RUN).replace(b'"rows": 10', b'"rows": 9223372036854775808'),
        r"no int @ \$\.rows",
    ),
    "half a character": (
        to_json(RUN).replace(b'"mlp"', rb'"\udcff"', 1),
        r"no str @ \$\.net\.name",
    ),
    "cut short": (to_json(RUN)[:100], r"no JSON object \(.*\)"),
    "no text": (b"\xff\xfe", r"no JSON object \(.*\)"),
    "empty": (b"", r"no JSON object \(.*\)"),
    "a list": (b"[]", r"no JSON object \(a list\)"),
    "no fields": (b"{}", r"nothing @ \$\.key"),
    "a number for a name": (
        to_json(RUN).replace(b'"mlp"', b"3", 1),
        r"no str @ \$\.net\.name",
    ),
    "a flag for a number": (
        to_json(RUN).replace(b'"rows": 10', b'"rows": true'),
        r"no int @ \$\.rows",
    ),
    "an unknown split": (
        to_json(RUN).replace(b'"train"', b'"tain"', 1),
        r"no typing\.Literal\['train', 'test'\] @ \$\.split",
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_one_line_that_names_the_file(tmp_path, name):
    data, reason = GARBAGE[name]
    storage = Storage(str(tmp_path))  # without a mark, so it may have files without seals
    storage.write("runs/k/run.json", data)
    message = rf"^--store: expected a RunRecord in runs/k/run\.json, got {reason}$"
    with pytest.raises(BadStore, match=message):
        read_record(storage, "runs/k/run.json", RunRecord)


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"null", Layout, r"no JSON object \(.*\)"),
        (to_json(MANIFEST).replace(b'"k1"', b'"k/1"'), Manifest, r"key: expected letters .*"),
        (to_json(MANIFEST).replace(b'"conf"', b"1"), Manifest, r"no str @ \$\.partition.*"),
        (
            to_json(MANIFEST).replace(b', "conf"', b""),
            Manifest,
            r"Not enough values in .* @ \$\.partition",
        ),
        (to_json(VERSION).replace(b"[0, 5]", b"[0]"), DatasetVersion, r".* @ \$\.ranges.*"),
        (to_json(LAYOUT).replace(b'"height"', b'"hight"'), Layout, r"nothing @ \$\.shape\.height"),
    ],
)
def test_garbage_in_other_records(data, kind, reason):
    message = rf"^--store: expected a {kind.__name__} in x\.json, got {reason}$"
    with pytest.raises(BadStore, match=message):
        from_json(data, kind, "x.json")


def test_several_records_come_in_the_order_given(tmp_path):
    storage = Storage(str(tmp_path))
    nets = {f"{width}.json": NetSpec(name="mlp", width=width) for width in range(1, 6)}
    for path, net in nets.items():
        write_record(storage, path, net)
    paths = sorted(nets, reverse=True)
    assert read_records(storage, paths, NetSpec) == [nets[path] for path in paths]


def test_a_field_of_a_later_version_stops_nobody(tmp_path):
    storage = Storage(str(tmp_path))
    write_record(storage, "net.json", {**jsonable(NET), "from_a_later_version": [1]})
    assert read_record(storage, "net.json", NetSpec) == NET


def test_what_cannot_be_read_is_named_and_passed_over(tmp_path, caplog):
    storage = Storage(str(tmp_path))
    write_record(storage, "good.json", NET)
    write_record(storage, "other.json", {"no": "net"})
    storage.write("empty.json", b"")
    paths = ["other.json", "gone.json", "empty.json", "good.json"]
    assert read_sound_records(storage, paths, NetSpec) == {"good.json": NET}
    assert "expected a NetSpec in other.json, got nothing @ $.name" in caplog.text
    assert "expected a NetSpec in empty.json" in caplog.text


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_record_written_twice_survives_the_loss_of_one(tmp_path, harm, caplog):
    storage = Storage(str(tmp_path), mends=True)
    ensure_marked(storage)
    write_twice(storage, "v.json", NET)
    if harm == "missing":
        storage.remove(["v.json"])
    else:
        storage.write("v.json", b"{}")
    assert read_either(storage, "v.json", NetSpec) == NET
    assert "v.json is missing or damaged, but its copy is not" in caplog.text
    assert read_record(storage, "v.json", NetSpec) == NET  # written again


def test_a_record_that_was_never_written_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_either(Storage(str(tmp_path)), "v.json", NetSpec)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ranges": {"test": [0, 5]}}, r"ranges: expected names such as file@0, got 'test'"),
        ({"ranges": {"a@b": [0, 5]}}, r"ranges: expected names such as file@0, got 'a@b'"),
        ({"ranges": {"a@0": [-1, 5]}}, r"ranges: expected ids from 0 on, got 5 from -1 for a@0"),
        ({"ranges": {"a@0": [0, -5]}}, r"ranges: expected ids from 0 on, got -5 from 0"),
        ({"ranges": {"a@0": [2**63 - 1, 5]}}, r"ranges: expected ids from 0 on, got 5 from 9223"),
        ({"shards": [{"rows": -5}]}, r"expected a first id, rows, .* got \(0, -5, 1, 4\)"),
        ({"shards": [{"first_id": -1}]}, r"expected a first id, rows, .* got \(-1, 5, 1, 4\)"),
        ({"shards": [{"trainable": 6}]}, r"expected a first id, rows, .* got \(0, 5, 1, 6\)"),
    ],
)
def test_a_version_that_no_ingest_makes_is_refused(changed, said):
    raw = json.loads(to_json(VERSION))
    for name, value in changed.items():
        raw[name] = [raw[name][0] | part for part in value] if name == "shards" else value
    with pytest.raises(BadStore, match=rf"expected a DatasetVersion in x.json, got .*{said}"):
        from_json(json.dumps(raw).encode(), DatasetVersion, "x.json")
