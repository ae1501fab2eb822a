"""From decoded examples to what a net takes."""

import torch
from torch import Tensor


def as_input(decoded: Tensor) -> Tensor:
    """Images [N, H, W, D] uint8 to [N, D, H, W] float32 in [0, 1]; texts [N, L] to int64 ids.

    Images are channels last in memory.
    """
    if decoded.dim() == 2:
        return decoded.to(torch.int64)
    return decoded.permute(0, 3, 1, 2).to(torch.float32).div_(255)
