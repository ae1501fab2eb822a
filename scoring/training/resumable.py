"""The state of a training after an epoch: everything that a later process needs to resume it.

A resumed training gives exactly the weights of one without a break: the state holds weights and
buffers, the optimizer's moments, every random stream, and the losses and counters so far.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scoring.nets import Fitted
from scoring.training.checkpoints import snapshot

State = Mapping[str, Tensor]
"""Tensors by name, on the CPU, ready for safetensors."""


@dataclass(kw_only=True)
class Training:
    """A training between two epochs; `save` and `load` copy all of it."""

    model: Fitted
    optimizer: torch.optim.Optimizer
    streams: Mapping[str, torch.Generator]
    """Generators by purpose, besides the default ones of the CPU and the device."""
    device: str
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch so far."""
    accuracy: float = float("nan")
    """Training accuracy of the last epoch."""
    steps: int = 0
    seconds: float = 0.0
    """Wall time spent so far, over all processes."""

    @property
    def weights(self) -> dict[str, Tensor]:
        """A copy of the inner net's state, in the form in which it is stored."""
        return snapshot(self.model.net)

    def save(self) -> dict[str, Tensor]:
        """Copy the state."""
        state = {f"net.{name}": value for name, value in self.model.net.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        state |= {f"stream.{name}": stream.get_state() for name, stream in self._all_streams()}
        state["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        state["accuracy"] = torch.tensor(self.accuracy, dtype=torch.float64)
        state["steps"] = torch.tensor(self.steps)
        state["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        copies = {name: value.detach().to("cpu", copy=True) for name, value in state.items()}
        return {name: value.contiguous() for name, value in copies.items()}

    def load(self, state: State) -> None:
        """Restore a saved state."""
        self.model.net.load_state_dict(_with_prefix("net", state))
        self._load_moments(_with_prefix("optimizer", state))
        for name, stream in self._all_streams():
            stream.set_state(state[f"stream.{name}"])
        self.losses = state["losses"].tolist()
        self.accuracy = float(state["accuracy"])
        self.steps = int(state["steps"])
        self.seconds = float(state["seconds"])

    def _load_moments(self, state: State) -> None:
        parameters = self.optimizer.param_groups[0]["params"]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            index, _, moment = name.partition(".")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # Fused optimizers assume the parameter's memory layout.
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            moments.setdefault(int(index), {})[moment] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})

    def _all_streams(self) -> list[tuple[str, torch.Generator]]:
        """Return every stream that training draws from, including dropout's."""
        streams = [*self.streams.items(), ("default", torch.default_generator)]
        if self.device == "cuda":
            streams.append(("cuda", torch.cuda.default_generators[torch.cuda.current_device()]))
        return streams


def _with_prefix(prefix: str, state: State) -> dict[str, Tensor]:
    """Select the tensors below `prefix` and strip it from their names."""
    start = f"{prefix}."
    return {n.removeprefix(start): value for n, value in state.items() if n.startswith(start)}
