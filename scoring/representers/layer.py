"""A linear layer of a net: its inputs, its outputs and its weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scoring.errors import UnknownName, UserError
from scoring.nets import Fitted

LAST = "last"


@dataclass(frozen=True, kw_only=True)
class Captured:
    """Inputs and outputs of a layer for N images."""

    features: Tensor
    """[N, D] float32: its inputs, then a constant 1 if it has a bias."""
    outputs: Tensor
    """[N, C] float32: its outputs before any activation; for the last layer, the logits."""


class Layer:
    """A named linear layer of a net; outputs of the last layer are in the dataset's class order."""

    def __init__(self, model: Fitted, name: str = LAST, flag: str = "--layer") -> None:
        """Find a layer in a net.

        Args:
            model: the net.
            name: the layer's name in the net, or "last".
            flag: the flag that errors blame.

        Raises:
            UnknownName: the net has no linear layer of that name.
            UserError: it has no linear layer at all.
        """
        layers = {n: m for n, m in model.net.named_modules() if isinstance(m, nn.Linear)}
        if not layers:
            raise UserError(f"{flag}: expected a net with linear layers, got one without")
        self.name = list(layers)[-1] if name == LAST else name
        if self.name not in layers:
            raise UnknownName(flag, name, [LAST, *layers])
        self.is_last = self.name == list(layers)[-1]
        self._model, self._module = model, layers[self.name]

    def capture(self, images: Tensor) -> Captured:
        """Pass images [N, D, H, W] through the net; gradients flow where they are enabled.

        Raises:
            UserError: the net does not call the layer exactly once, with one row an image.
        """
        calls: list[tuple[Tensor, Tensor]] = []
        hook = self._module.register_forward_hook(
            lambda _module, inputs, output: calls.append((inputs[0], output))
        )
        try:
            logits = self._model(images)
        finally:
            hook.remove()
        if len(calls) != 1 or calls[0][0].dim() != 2:
            raise UserError(
                f"--layer {self.name}: expected a layer that is called once, with one row of "
                f"features an image, got one that is called {len(calls)} times"
            )
        features, outputs = calls[0]
        if self._module.bias is not None:
            features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
        return Captured(
            features=features.float(), outputs=(logits if self.is_last else outputs).float()
        )

    @property
    def weights(self) -> Tensor:
        """Weights [C, D] float32, with the bias, if any, as the last column."""
        weights = self._module.weight
        if self._module.bias is not None:
            weights = torch.cat([weights, self._module.bias.unsqueeze(1)], dim=1)
        return weights[self._order()].detach().clone()

    def set_weights(self, weights: Tensor) -> None:
        """Write weights [C, D] into the net; outputs that are no class of the dataset stay."""
        with torch.no_grad():
            wide = weights.to(self._module.weight)
            if self._module.bias is not None:
                wide, bias = wide[:, :-1], wide[:, -1]
                self._module.bias[self._order()] = bias
            self._module.weight[self._order()] = wide

    def _order(self) -> Tensor | slice:
        """Return the rows of the module's weights that are outputs here, in order."""
        ordered = self.is_last and len(self._model.order) > 0
        return self._model.order if ordered else slice(None)
