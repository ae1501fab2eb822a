import pickle

import pytest
import torch
from torch import nn

from scoring.errors import UserError
from scoring.nets import build
from scoring.run_spec import NetSpec
from scoring.training.checkpoints import (
    content_hash,
    from_bytes,
    load_user_weights,
    snapshot,
    to_bytes,
)


@pytest.fixture
def weights():
    torch.manual_seed(0)
    net = build(NetSpec(name="resnetv2"), shape=(8, 8, 1), classes=3)
    return snapshot(net.to(memory_format=torch.channels_last).net)


def halved(weights):
    return {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}


class RunsCode:
    """Calls print when unpickled."""

    def __reduce__(self):
        return print, ("this must never be printed",)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_weights_round_trip_through_bytes(weights):
    data = to_bytes(weights)
    assert same(from_bytes(data), weights)
    assert to_bytes(from_bytes(data)) == data


def test_a_snapshot_is_a_copy():
    net = nn.Linear(2, 2)
    copy = snapshot(net)
    before = copy["weight"].clone()
    with torch.no_grad():
        net.weight.add_(1)
    assert torch.equal(copy["weight"], before)


def test_the_hash_follows_names_and_values_not_order_or_layout(weights):
    first = content_hash(weights)
    assert len(first) == 32
    assert content_hash(dict(reversed(weights.items()))) == first
    laid_out = {
        k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in weights.items()
    }
    assert content_hash(laid_out) == first
    name = next(iter(weights))
    assert content_hash({**weights, name: weights[name] + 1e-3}) != first
    renamed = {("other" if k == name else k): v for k, v in weights.items()}
    assert content_hash(renamed) != first


# Half precision keeps 11 bits: a relative error below 5e-4.
@pytest.mark.parametrize("suffix", ["pt", "pth"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        lambda w: {"state_dict": w, "epoch": 3},
        lambda w: {f"module.{k}": v for k, v in w.items()},
        lambda w: {"state_dict": {f"module.{k}": v for k, v in halved(w).items()}},
    ],
    ids=["plain", "wrapped", "parallel", "half"],
)
def test_the_usual_forms_of_users_checkpoints_load(tmp_path, weights, wrap, suffix):
    path = tmp_path / f"net.{suffix}"
    torch.save(wrap(weights), path)
    loaded = load_user_weights(path, path.name)
    assert loaded.keys() == weights.keys()
    assert all(torch.allclose(loaded[k], weights[k], rtol=1e-3, atol=1e-4) for k in weights)
    assert {v.dtype for v in loaded.values() if v.is_floating_point()} == {torch.float32}
    assert same(load_user_weights(path.read_bytes(), path.name), loaded)


def test_users_safetensors_load(tmp_path, weights):
    path = tmp_path / "net.safetensors"
    path.write_bytes(to_bytes(weights))
    assert same(load_user_weights(path, str(path)), weights)


def test_a_pickle_that_runs_code_is_refused(tmp_path, capsys):
    path = tmp_path / "evil.pt"
    torch.save({"weight": torch.zeros(1), "extra": RunsCode()}, path)
    with pytest.raises(UserError, match=r"evil\.pt: expected a checkpoint of tensors only"):
        load_user_weights(path, path.name)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(RunsCode(), protocol=2))
    with pytest.raises(UserError, match=r"bare\.pt: expected"):
        load_user_weights(bare, bare.name)
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.bin", b"", "expected a file ending in .safetensors, .pt, .pth, got '.bin'"),
        ("net.pt", b"not a checkpoint", "net.pt: expected"),
        ("net.pt", b"", "net.pt: expected"),
        ("net.safetensors", b"not a checkpoint", "net.safetensors: expected a readable"),
        ("missing.pt", None, "missing.pt: expected a readable .pt checkpoint, got .*No such file"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        load_user_weights(path, name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([torch.zeros(1)], "expected a state dict, got list"),
        ({}, "expected a state dict"),
        ({"weight": torch.zeros(1), "epoch": 3}, "expected a tensor for every name, got none for"),
        ({3: torch.zeros(1)}, "expected names of tensors, got 3"),
        ({"weight": torch.eye(3).to_sparse()}, "expected a tensor for every name, got none for"),
        ({"weight": torch.zeros(1, device="meta")}, "expected a tensor for every name, got none"),
        ({"weight": torch.zeros(1).expand(10**12)}, "expected a tensor for every name, got none"),
    ],
)
def test_checkpoints_of_other_objects_are_refused(tmp_path, value, message):
    path = tmp_path / "net.pt"
    torch.save(value, path)
    with pytest.raises(UserError, match=message):
        load_user_weights(path, path.name)
