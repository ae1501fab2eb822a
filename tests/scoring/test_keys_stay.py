"""Keys name artefacts for good: a store of an earlier protoscore goes on where it stood."""

import json
from dataclasses import replace

import pytest

from scoring.data.image_folder import ImageFolderSource
from scoring.data.images import ImageShape
from scoring.data.parquet_source import ParquetSource
from scoring.data.shards import ShardRecord
from scoring.registry import metrics
from scoring.representers.question import Question
from scoring.run_spec import NetSpec, Recipe
from scoring.runs.fleet import PRESETS, Hardware, build_fleet
from scoring.runs.record import identify
from scoring.score.assignments import Assignment, RunRef, score_key
from scoring.store.keys import digest, jsonable
from scoring.store.records import from_json

FLEET = build_fleet(
    PRESETS["demo"],
    net=NetSpec(name="small_cnn"),
    recipe=Recipe(),
    hardware=Hardware(),
    seed=0,
    train_rows=1000,
)
RUNS = {
    "base": FLEET.base,
    "member": FLEET.ensemble[1],
    "pair": FLEET.pairs["test"][0],
    "private": FLEET.private[0],
    "representer": FLEET.representer,
}
RUN_KEYS = {
    "base": "0286d4b84a8bf368d321bb7f763b2da2",
    "member": "e9c16b8b21189e9ce8fd395429d118d3",
    "pair": "5026afaf730779cff10e3f1f3813027b",
    "private": "b89817a35a2c64a754f39fafcbed1d14",
    "representer": "840a72afbbbac50daffbe9ce412ae6ba",
}
SCORE_KEYS = {
    "adv_l2": "967c830e",
    "adv_linf": "11c39563",
    "adv_steps": "4030ca6a",
    "agr": "ac6f1ad2",
    "agr_kl": "4e7b9f5d",
    "aum": "e041116a",
    "conf": "72db240c",
    "confidence_mean": "af06976a",
    "el2n": "96b5edf5",
    "fleet_aum": "2b89bd5a",
    "forgetting": "ea2c3a0a",
    "gradient_norm": "5483780e",
    "label_conf": "e98c855e",
    "label_margin": "1df2985a",
    "learning_order": "f0370674",
    "memorisation": "af34a463",
    "msp": "3ec73ca5",
    "oob_conf": "90dea111",
    "oob_confidence_mean": "9d3aff78",
    "oob_margin": "c1509987",
    "priv": "a04eda0c",
    "representer_self": "3d120cac",
    "ret": "37915929",
    "second_split_forgetting": "4f679a07",
    "variability": "b58535a4",
    "vog": "9157f4cc",
    "vog_early": "1344dd14",
    "vog_late": "a184d02a",
    "vog_logp": "62f80ebf",
    "vog_logp_predicted": "d80fe705",
    "vog_predicted": "71a08e55",
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_keeps_its_key(name):
    assert identify(RUNS[name], {"train": "a", "test": "b"}).key == RUN_KEYS[name]


def test_every_metric_has_its_key_here():
    assert SCORE_KEYS.keys() == metrics().keys()


@pytest.mark.parametrize("name", SCORE_KEYS)
def test_scores_of_a_shard_keep_their_key(name):
    record = ShardRecord(content="c", first_id=0, rows=10, undecodable=1, trainable=8)
    runs = (RunRef(key="r", parent="p"),)
    how = Assignment(metric=name, config=metrics()[name].config(), split="train", runs=runs)
    assert score_key(how, record).startswith(SCORE_KEYS[name])


def test_explanations_of_a_shard_keep_their_key():
    assert digest([Question(outputs="predicted", k=10)]) == "eb66c12ba40bbfd6001cfbcc5cdd9569"


GREY = ImageShape(height=8, width=8, channels=1)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (GREY, "80d64718cfdf0e0a6b0af432803aa21a"),
        (ParquetSource(name="n", train="a", test="b"), "c870e18960cc7cb8e57b678811d50f5b"),
        (ImageFolderSource(name="n", data_root="r"), "d549bc29396e2ef96091c1a54cf45f9e"),
    ],
    ids=["shape", "parquet", "image_folder"],
)
def test_pieces_and_shards_keep_their_keys(value, key):
    """A receipt's key holds the source and the shape, a shard's and a version's the shape."""
    assert digest(value) == key
    assert digest(replace(value, max_pixels=1000)) != key


def test_a_shape_is_read_back_with_its_bound():
    for shape in (GREY, replace(GREY, max_pixels=1000)):
        assert from_json(json.dumps(jsonable(shape)).encode(), ImageShape, "") == shape
    assert "max_pixels" not in jsonable(GREY)
