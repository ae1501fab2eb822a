"""A net fitted to a dataset: pixels in [0, 1] in, logits in the dataset's class order out."""

import torch
from torch import Tensor, nn

from scoring.errors import UserError
from scoring.run_spec import NetSpec


class Fitted(nn.Module):
    """Normalises pixels, calls `net`, and puts its outputs in the dataset's class order.

    What it adds is in the `NetSpec`, not in the weights: checkpoints hold `net`'s state alone.
    """

    mean: Tensor
    std: Tensor
    order: Tensor

    def __init__(self, net: nn.Module, spec: NetSpec, *, depth: int, channels: int) -> None:
        """Fit `net` to images of `depth` channels, repeated where it expects more `channels`."""
        super().__init__()
        self.net = net
        self._repeats = channels // depth
        self.register_buffer("mean", _per_channel(spec.mean, "mean", channels), persistent=False)
        self.register_buffer("std", _per_channel(spec.std, "std", channels), persistent=False)
        order = torch.tensor(spec.class_order, dtype=torch.int64)
        self.register_buffer("order", order, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, C] of images [N, D, H, W], float32 in [0, 1]."""
        if self._repeats > 1:
            images = images.repeat(1, self._repeats, 1, 1)
        logits = self.net((images - self.mean) / self.std)
        if isinstance(
            logits, tuple
        ):  # torchvision's Inception nets add auxiliary heads in training
            logits = logits[0]
        ordered: Tensor = logits.index_select(1, self.order) if len(self.order) else logits
        return ordered


def _per_channel(values: tuple[float, ...], field: str, channels: int) -> Tensor:
    if len(values) not in (1, channels):
        raise UserError(
            f"--net: expected 1 or {channels} values of {field}, one per channel, got {len(values)}"
        )
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
