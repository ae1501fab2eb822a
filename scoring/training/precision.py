"""When bfloat16 autocast makes training faster than float32."""

import math
from typing import Literal

import torch

from scoring.nets import net_names
from scoring.run_spec import NetSpec

_NARROWEST = {
    "lenet5": 2.0,
    "mlp": 4.0,
    "paper_cnn": 0.25,
    "resnetv2": 0.25,
    "small_cnn": 2.0,
    "whitened_cnn": 0.25,
}
"""Least width at which our nets gain on a CPU; in narrower nets casting costs more than it saves.

Our other nets, those for texts among them, stay in float32 there.
"""


def pays_bfloat16(net: NetSpec, device: Literal["cpu", "cuda"]) -> bool:
    """Return whether `net` trains faster with bf16 autocast on this machine's `device`.

    The hardware must multiply bf16 and the net must be wide enough. A user's own factory stays in
    float32, and so must every private run: see `scoring.training.private`.
    """
    if ":" in net.name:
        return False
    ours = net.name in net_names()
    if device == "cpu" and ours and net.width < _NARROWEST.get(net.name, math.inf):
        return False
    return multiplies_bfloat16(device)


def multiplies_bfloat16(device: str) -> bool:
    """Return whether `device`, "cpu" or "cuda", is faster in bf16 than in float32 here."""
    if device == "cuda":
        # The driver may see no GPU: assume that those of the workers are Ampere or later.
        return not torch.cuda.is_available() or torch.cuda.is_bf16_supported(False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
