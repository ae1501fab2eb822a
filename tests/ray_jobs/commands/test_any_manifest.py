"""Whatever a manifest of imported runs says, the answer is a code and a line, and it comes soon."""

import json
import os
import random
from pathlib import Path

import pytest
import torch
from damage import copy, say
from fuzzing import (
    NUMBERS,
    VALUES,
    broken_text,
    cases,
    check_answer,
    files_below,
    mutated,
    noise_of,
    time_limit,
)
from safetensors.torch import save_file
from small_plans import SMALL

from scoring.nets import build
from scoring.run_spec import NetSpec
from scoring.store.retries import VARIABLE

CASES = cases(150)
DIGITS = [str(i) for i in range(10)]
ENTRIES = (
    {"weights": "mlp.safetensors", "net": "mlp", "role": "base", "unseen": True},
    {"weights": "mlp.pt", "net": "mlp", "role": "ensemble", "width": 1.0},
    {"weights": "mlp.pt", "net": "mlp", "role": "ensemble", "mean": [0.5], "std": [0.25]},
    {"weights": "mlp.pth", "net": "mlp", "role": "checkpoint", "classes": DIGITS[::-1]},
)
FILES = (
    "pipe",
    "folder",
    "dead_link.pt",
    "link.pt",
    "zero.pt",
    "garbage.pt",
    "nested.pt",
    "empty.pt",
)
WEIGHTS = (
    *FILES,
    *("runs.json", "/dev/zero", "/dev/stdin", "/proc/self/mem", "http://127.0.0.1:9/x.pt"),
    *(
        "sftp://10.255.255.1/x.pt",
        "s3://no-such-bucket/x.pt",
        "memory://x.pt",
        "file:///etc/passwd",
    ),
    *("zip://x::http://10.255.255.1/x.pt", "mlp.pt\0", "../mlp.pt", "~/x.pt", "x" * 300 + ".pt"),
)
NETS = ("mlp", "small_cnn", "lstm", "resnet18", "json:loads", "os:system", "no.such:net", "mlp\0")
FIELDS = {
    "weights": WEIGHTS,
    "net": NETS,
    "role": VALUES,
    "width": NUMBERS,
    "unseen": [True, False, None, 1, "no"],
    "mean": [*NUMBERS, *([n] for n in NUMBERS), [0.5, 0.5, 0.5], [0.5] * 10_000],
    "std": [*NUMBERS, *([n] for n in NUMBERS), [0.5, 0.5, 0.5]],
    "classes": [DIGITS, DIGITS * 2, DIGITS[:9], [*DIGITS[:9], "8"], ["x" * 10_000] * 10],
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a manifest's files, in which commands run."""
    torch.manual_seed(0)
    state = build(NetSpec(name="mlp"), shape=(8, 8, 1), classes=10).net.state_dict()
    save_file(state, tmp_path / "mlp.safetensors")
    torch.save(state, tmp_path / "mlp.pt")
    torch.save(
        {"state_dict": {f"module.{name}": t for name, t in state.items()}}, tmp_path / "mlp.pth"
    )
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dead_link.pt").symlink_to("nowhere")
    (tmp_path / "link.pt").symlink_to("mlp.pt")
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    (tmp_path / "garbage.pt").write_bytes(random.Random(0).randbytes(1000))
    torch.save({"model": {"model": state, 3: [state]}}, tmp_path / "nested.pt")
    (tmp_path / "empty.pt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "0")
    return tmp_path


def weird_state(noise):
    """Return what `torch.save` may have written in place of a state dict."""
    state = {"1.weight": torch.zeros(256, 64), "1.bias": torch.zeros(256)}
    state |= {"4.weight": torch.zeros(10, 256), "4.bias": torch.zeros(10)}
    name = noise.choice(list(state))
    other = noise.choice(
        [
            state[name].to_sparse(),
            state[name].to(torch.complex64),
            state[name].to(torch.int8),
            state[name].bool(),
            state[name].half(),
            state[name].double(),
            state[name] * torch.nan,
            state[name].to("meta"),
            state[name].unsqueeze(0),
            state[name].flatten(),
            state[name][:0],
            torch.tensor(1.0),
            torch.quantize_per_tensor(state[name], 0.1, 0, torch.qint8),
            torch.nn.Parameter(state[name]),
            torch.zeros(1).expand(10_000_000_000, 10),
            None,
            3,
            "text",
            [state],
            state,
        ]
    )
    return noise.choice(
        [
            {**state, name: other},
            {**state, noise.choice([3, None, "", "\udcff", ("a", 1), "x" * 5000]): other},
            {"state_dict": {**state, name: other}},
            other,
            [other],
        ]
    )


def manifest(noise, folder: Path) -> bytes:
    """Make up the text of a manifest."""
    entries = noise.sample(ENTRIES, noise.randint(1, 3))
    value = mutated({"runs": entries}, noise)
    if noise.random() < 0.4:
        entry = dict(noise.choice(ENTRIES))
        key, values = noise.choice(list(FIELDS.items()))
        value = {"runs": [{**entry, key: noise.choice(values)}]}
    if noise.random() < 0.2:
        torch.save(weird_state(noise), folder / "weird.pt")
        value = {"runs": [{"weights": "weird.pt", "net": "mlp"}]}
    text = json.dumps(value, ensure_ascii=noise.random() < 0.9).encode(errors="surrogatepass")
    return broken_text(text, noise) if noise.random() < 0.15 else text


@pytest.mark.parametrize("command", ["plan", "rescore"])
def test_any_manifest_is_answered(command, here, in_process, ingested, tmp_path_factory):
    noise = noise_of(command)
    stores = tmp_path_factory.mktemp("stores")
    for case in range(CASES if command == "plan" else CASES // 5):
        store = stores / f"case{case}" / "store"
        copy(Path(ingested), store)
        text = manifest(noise, here)
        (here / "runs.json").write_bytes(text)
        before, stored = files_below(here), files_below(store)
        flags = ["--recipe", "smoke", "--import-runs", "runs.json", "--metrics", "msp", "conf"]
        with time_limit(text[:2000]):
            said = say(command, "--store", str(store), *SMALL, *flags, "--batch-rows", "50")
        check_answer(text[:2000], said.code, said.out, said.err)
        assert files_below(here) == before, text
        assert not list(store.rglob("*.partial")), text
        if command == "plan" or said.code == 2:
            assert files_below(store) == stored, text
