"""A net fitted to a dataset: examples in, logits in the dataset's class order out."""

import torch
from torch import Tensor, nn

from scoring.errors import UserError
from scoring.nets.whitened_cnn import Whitening
from scoring.run_spec import NetSpec


class Fitted(nn.Module):
    """Preprocesses examples, calls `net`, and reorders its output to the dataset's class order.

    Both additions follow from the `NetSpec` and have no weights: checkpoints hold only the state
    of `net`.
    """

    order: Tensor

    def __init__(self, net: nn.Module, spec: NetSpec, preprocessing: nn.Module) -> None:
        """Fit `net`, which takes the output of `preprocessing`."""
        super().__init__()
        self.net = net
        self.preprocessing = preprocessing
        order = torch.tensor(spec.class_order, dtype=torch.int64)
        self.register_buffer("order", order, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map images [N, D, H, W] in [0, 1] or token ids [N, L] to logits [N, C]."""
        logits = self.net(self.preprocessing(inputs))
        if isinstance(logits, tuple):
            logits = logits[0]  # torchvision's Inception nets have auxiliary heads in training
        ordered: Tensor = logits.index_select(1, self.order) if len(self.order) else logits
        return ordered

    def fit_to(self, inputs: Tensor) -> None:
        """Fit what a net takes from data rather than learns, such as a whitening, to some inputs.

        Args:
            inputs: as `forward` takes them, of examples that the net is to be trained on.
        """
        for part in self.net.modules():
            if isinstance(part, Whitening):
                part.fit_to(self.preprocessing(inputs))


class Normalised(nn.Module):
    """Gives pixels the mean, deviation and number of channels that a net expects."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: NetSpec, *, depth: int, channels: int) -> None:
        """Take images of `depth` channels, repeated if the net expects more `channels`."""
        super().__init__()
        self._repeats = channels // depth
        self.register_buffer("mean", _per_channel(spec.mean, "mean", channels), persistent=False)
        self.register_buffer("std", _per_channel(spec.std, "std", channels), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images [N, D, H, W] float32 in [0, 1] to [N, channels, H, W]."""
        if self._repeats > 1:
            images = images.repeat(1, self._repeats, 1, 1)
        return (images - self.mean) / self.std


def _per_channel(values: tuple[float, ...], field: str, channels: int) -> Tensor:
    if len(values) not in (1, channels):
        raise UserError(
            f"--net: expected 1 or {channels} values of {field}, one per channel, got {len(values)}"
        )
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
