import json
import math

import numpy as np
import pytest
import torch

from scoring.data.images import ImageShape
from scoring.data.sources import Layout
from scoring.errors import UserError
from scoring.nets import build
from scoring.run_spec import NetSpec
from scoring.runs.fleet import PRESETS, Hardware, build_fleet
from scoring.runs.imports import read_manifest, store_weights, with_imports
from scoring.store.filesystems import filesystem
from scoring.store.keys import digest
from scoring.store.layout import import_path
from scoring.store.storage import Storage
from scoring.training.checkpoints import from_bytes, to_bytes
from scoring.training.recipes import recipe

LAYOUT = Layout(classes=("ant", "bee", "cat"), shape=ImageShape(height=8, width=8, channels=1))


def trained(seed=0, classes=3, channels=1):
    torch.manual_seed(seed)
    return build(NetSpec(name="mlp"), shape=(8, 8, channels), classes=classes)


@pytest.fixture
def write(tmp_path):
    """Writes a manifest of one run beside its weights; returns the manifest's path."""

    def save(weights=None, entries=None, **fields):
        torch.save((weights or trained()).net.state_dict(), tmp_path / "net.pt")
        default = [{"weights": "net.pt", "net": "mlp", **fields}]
        text = json.dumps({"runs": default if entries is None else entries})
        (tmp_path / "runs.json").write_text(text)
        return str(tmp_path / "runs.json")

    return save


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors"])
def test_weights_of_either_format(tmp_path, suffix):
    model = trained()
    if suffix == "safetensors":
        (tmp_path / "net.safetensors").write_bytes(to_bytes(model.net.state_dict()))
    else:
        torch.save({"state_dict": model.net.state_dict()}, tmp_path / f"net.{suffix}")
    entry = {"weights": f"net.{suffix}", "net": "mlp", "role": "ensemble"}
    (tmp_path / "runs.json").write_text(json.dumps({"runs": [entry]}))
    (run,) = read_manifest(str(tmp_path / "runs.json"), LAYOUT)
    assert (run.role, run.spec.kind, run.spec.net.name) == ("ensemble", "imported", "mlp")
    for name, value in model.net.state_dict().items():
        assert torch.equal(run.weights[name], value)


def test_a_run_is_named_by_its_weights_and_what_the_manifest_says(write):
    def spec(**fields):
        return read_manifest(write(**fields), LAYOUT)[0].spec

    assert spec() == spec()
    others = [
        spec(weights=trained(seed=1)),
        spec(mean=[0.1]),
        spec(std=[0.1]),
        spec(classes=["bee", "ant", "cat"]),
        spec(unseen=True),
    ]
    assert len({spec(), *others}) == 6
    assert spec(unseen=False) == spec()
    assert spec(classes=["ant", "bee", "cat"]) == spec()


def test_outputs_come_in_the_dataset_s_order(write):
    model = trained()
    net = read_manifest(write(model, classes=["cat", "ant", "bee"]), LAYOUT)[0].spec.net
    fitted = build(net, shape=(8, 8, 1), classes=3)
    fitted.net.load_state_dict(model.net.state_dict())
    images = torch.rand(5, 1, 8, 8)
    model.eval()
    fitted.eval()
    with torch.no_grad():
        theirs, ours = model(images), fitted(images)
    assert torch.equal(ours, theirs[:, [1, 2, 0]])  # ant, bee and cat among cat, ant, bee


def test_weights_reach_the_store(write, store_uri):
    imported, storage = read_manifest(write(), LAYOUT), Storage(store_uri)
    store_weights(storage, imported)
    stored = from_bytes(storage.read(import_path(imported[0].spec.weights)))
    assert all(torch.equal(stored[name], value) for name, value in imported[0].weights.items())


@pytest.mark.s3
def test_a_manifest_on_s3(write, s3_store, tmp_path):
    local = write()
    fs, path = filesystem(s3_store)
    fs.put_file(local, f"{path}/mine/runs.json")
    fs.put_file(str(tmp_path / "net.pt"), f"{path}/mine/net.pt")
    there = read_manifest(f"{s3_store}/mine/runs.json", LAYOUT)
    assert there[0].spec == read_manifest(local, LAYOUT)[0].spec


def test_imported_runs_stand_in_for_those_of_the_fleet(write, tmp_path):
    net = NetSpec(name="mlp")
    fleet = build_fleet(
        PRESETS["demo"],
        net=net,
        recipe=recipe("quick"),
        hardware=Hardware(),
        seed=0,
        train_rows=100,
    )
    entry = {"weights": "net.pt", "net": "mlp"}
    for roles in (["base"], ["ensemble", "ensemble"], ["base", "ensemble"]):
        imported = read_manifest(write(entries=[{**entry, "role": r} for r in roles]), LAYOUT)
        mixed = with_imports(fleet, imported)
        specs = [run.spec for run in imported]
        assert mixed.base == (specs[0] if "base" in roles else fleet.base)
        members = tuple(s for s, role in zip(specs, roles, strict=True) if role == "ensemble")
        assert mixed.ensemble == (members or fleet.ensemble)
        assert (mixed.pairs, mixed.private) == (fleet.pairs, fleet.private)


ENTRY = {"weights": "net.pt", "net": "mlp"}
REFUSED = {
    "no list": ({}, r"runs.json: expected a list of runs, got {}"),
    "no runs": ([], r"runs.json: expected a list of runs, got \[\]"),
    "a name for a run": (["net.pt"], r"expected weights, net and any of .*, got 'net.pt'"),
    "no net": ([{"weights": "net.pt"}], r"expected weights, net and any of .*, got weights"),
    "an unknown key": (
        [{**ENTRY, "lr": 1}],
        r"any of weights, net, role, .*, got weights, net, lr",
    ),
    "an unknown role": (
        [{**ENTRY, "role": "x"}],
        r"expected role to be one of base, ensemble, checkpoint, got 'x'",
    ),
    "an unknown net": ([{**ENTRY, "net": "nosuch"}], r"--net: expected one of .*, got 'nosuch'"),
    "a number for a net": ([{**ENTRY, "net": 3}], r"expected net to be the name of a net, got 3"),
    "a number for a mean": ([{**ENTRY, "mean": 0.5}], r"expected mean to be a list of .*, got 0.5"),
    "two means": ([{**ENTRY, "mean": [0.5, 0.5]}], r"expected 1 or 1 values of mean, .* got 2"),
    "a std of 0": (
        [{**ENTRY, "std": [0]}],
        r"expected std to be a list of .* other than 0, got \[0\]",
    ),
    "no width": ([{**ENTRY, "width": 0}], r"expected width to be a number above 0, at most 64, "),
    "too wide": ([{**ENTRY, "width": 1e6}], r"expected width to be .* at most 64, got 1000000\.0"),
    "no number": ([{**ENTRY, "mean": [math.nan]}], r"expected mean to be a list of numbers up "),
    "a huge std": (
        [{**ENTRY, "std": [2**63]}],
        r"expected std to be .* up to 1e\+09 other than 0, ",
    ),
    "no truth": ([{**ENTRY, "unseen": "no"}], r"expected unseen to be true or false, got 'no'"),
    "other classes": (
        [{**ENTRY, "classes": ["ant", "bee"]}],
        r"classes ant, bee, cat in any order",
    ),
    "two bases": ([ENTRY, ENTRY], r"expected at most one run of role base, got 2"),
    "no such file": (
        [{**ENTRY, "weights": "x.pt"}],
        r"cannot read '.*/x.pt' \(FileNotFoundError\)",
    ),
    "another server": (
        [{**ENTRY, "weights": "http://10.0.0.1/x.pt"}],
        r"expected weights beside the manifest, a local file or s3://, got 'http://10",
    ),
    "another suffix": ([{**ENTRY, "weights": "runs.json"}], r"expected a file ending in .*'.json'"),
    "another size": (
        [{**ENTRY, "width": 2}],
        r"expected weights of mlp for \(8, 8, 1\) images and 3",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_manifests_that_cannot_be_used(write, name):
    entries, message = REFUSED[name]
    with pytest.raises(UserError, match=rf"^--import-runs.*{message}") as error:
        read_manifest(write(entries=entries), LAYOUT)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_equal_runs_have_one_key_however_numbers_are_spelled(write):
    entries = [{**ENTRY, "role": "ensemble", "width": width} for width in (1, 1.0)]
    one, other = read_manifest(write(entries=entries), LAYOUT)
    assert digest(one.spec) == digest(other.spec)


@pytest.mark.parametrize("text", ["", "text", "[]", "3", '{"run": []}', "\xff"])
def test_what_is_no_manifest(tmp_path, text):
    path = tmp_path / "runs.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r'--import-runs: expected a JSON file {"runs": \[...\]}'):
        read_manifest(str(path), LAYOUT)
    with pytest.raises(UserError, match=r"--import-runs: cannot read '.*x' \(FileNotFoundError\)"):
        read_manifest(str(tmp_path / "x"), LAYOUT)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[]", "\ufeff{}", '{"runs": 9' + "9" * 5000])
def test_texts_that_are_no_manifest(tmp_path, text):
    (tmp_path / "runs.json").write_text(text)
    with pytest.raises(UserError, match=r'^--import-runs: expected a JSON file \{"runs": \[\.\.\.'):
        read_manifest(str(tmp_path / "runs.json"), LAYOUT)


class RunsCode:
    def __reduce__(self):
        return np.save, ("/tmp/never-written.npy", np.zeros(1))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("data", [b"", b"text", b"this is no checkpoint", b"PK\3\4"], ids=repr)
def test_files_that_are_no_checkpoint(write, tmp_path, data, suffix):
    manifest = write(entries=[{**ENTRY, "weights": f"other{suffix}"}])
    (tmp_path / f"other{suffix}").write_bytes(data)
    with pytest.raises(UserError, match=r"^--import-runs .*other\.\w+: expected a") as error:
        read_manifest(manifest, LAYOUT)
    assert "checkpoint" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_would_run_code_is_not_loaded(write, tmp_path):
    manifest = write()
    torch.save({"weight": RunsCode()}, tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"net.pt: expected a checkpoint of tensors only"):
        read_manifest(manifest, LAYOUT)
