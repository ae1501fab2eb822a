"""Turns decoded examples into the input of a net."""

import torch
from torch import Tensor


def as_input(decoded: Tensor) -> Tensor:
    """Turn images [N, H, W, D] uint8 into [N, D, H, W] float32 in [0, 1], texts [N, L] into int64.

    Images keep their channels last in memory.
    """
    if decoded.dim() == 2:
        return decoded.to(torch.int64)
    return decoded.permute(0, 3, 1, 2).to(torch.float32).div_(255)
