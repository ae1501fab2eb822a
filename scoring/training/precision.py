"""Where bfloat16 autocast makes training faster than float32."""

import math
from typing import Literal

import torch

from scoring.nets import net_names
from scoring.run_spec import NetSpec

_NARROWEST = {
    "bag_of_embeddings": math.inf,
    "lenet5": 2.0,
    "lstm": math.inf,
    "mlp": 4.0,
    "paper_cnn": 0.25,
    "resnetv2": 0.25,
    "small_cnn": 2.0,
}
"""The least width at which it pays on a CPU: below, casting costs more than it saves."""


def pays_bfloat16(net: NetSpec, device: Literal["cpu", "cuda"]) -> bool:
    """Whether to train `net` with bf16 autocast on this machine's kind of `device`.

    The hardware must multiply bf16 and the net must be wide enough. A user's own factory stays in
    float32, and so must every private run: see `scoring.training.private`.
    """
    if ":" in net.name:
        return False
    if device == "cpu" and net.name in net_names() and net.width < _NARROWEST[net.name]:
        return False
    return multiplies_bfloat16(device)


def multiplies_bfloat16(device: str) -> bool:
    """Whether this machine's kind of device, "cpu" or "cuda", is faster in bf16 than in float32."""
    if device == "cuda":
        # Planned where no GPU is in sight, the workers' are taken to be Ampere or later.
        return not torch.cuda.is_available() or torch.cuda.is_bf16_supported(False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
