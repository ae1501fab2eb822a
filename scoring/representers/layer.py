"""A linear layer of a net: what goes in, what comes out, and what stands in its weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scoring.errors import UnknownName, UserError
from scoring.nets import Fitted

LAST = "last"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a layer does with N images."""

    features: Tensor
    """[N, D] float32: its inputs, then a constant 1 where it has a bias."""
    outputs: Tensor
    """[N, C] float32: its outputs, before any activation; of the last layer, the logits."""


class Layer:
    """A named linear layer of a net; outputs of the last one are in the dataset's class order."""

    def __init__(self, model: Fitted, name: str = LAST, flag: str = "--layer") -> None:
        """Find a layer by its name in the net, or the last one; a flag that users know it by.

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

    def see(self, images: Tensor) -> Seen:
        """Pass images [N, D, H, W] through the net; gradients flow where they are enabled."""
        caught: list[tuple[Tensor, Tensor]] = []
        hook = self._module.register_forward_hook(
            lambda _module, inputs, output: caught.append((inputs[0], output))
        )
        try:
            logits = self._model(images)
        finally:
            hook.remove()
        if len(caught) != 1 or caught[0][0].dim() != 2:
            raise UserError(
                f"--layer {self.name}: expected a layer that sees each image once, as one row of "
                f"features, got one that is called {len(caught)} times"
            )
        features, outputs = caught[0]
        if self._module.bias is not None:
            features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
        return Seen(
            features=features.float(), outputs=(logits if self.is_last else outputs).float()
        )

    @property
    def weights(self) -> Tensor:
        """[C, D] float32, the bias as the last column where there is one."""
        weights = self._module.weight
        if self._module.bias is not None:
            weights = torch.cat([weights, self._module.bias.unsqueeze(1)], dim=1)
        return weights[self._order()].detach().clone()

    def put(self, weights: Tensor) -> None:
        """Write weights [C, D] into the net; outputs that are no class of the dataset stay."""
        with torch.no_grad():
            wide = weights.to(self._module.weight)
            if self._module.bias is not None:
                wide, bias = wide[:, :-1], wide[:, -1]
                self._module.bias[self._order()] = bias
            self._module.weight[self._order()] = wide

    def _order(self) -> Tensor | slice:
        """The rows of the module that are outputs here, in order."""
        ordered = self.is_last and len(self._model.order) > 0
        return self._model.order if ordered else slice(None)
