"""Where a training stands after an epoch: all that a later process needs to go on from there.

Going on gives the very weights that training without a break would have given: the state holds
the weights and buffers, the optimizer's moments, every random stream, and what was counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scoring.nets import Fitted
from scoring.training.checkpoints import snapshot

State = Mapping[str, Tensor]
"""Names to tensors on the CPU, ready for safetensors."""


@dataclass(kw_only=True)
class Training:
    """A training between two epochs; `save` and `load` copy all of it."""

    model: Fitted
    optimizer: torch.optim.Optimizer
    streams: Mapping[str, torch.Generator]
    """Generators by purpose; the default ones of the CPU and the device are added."""
    device: str
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch so far."""
    accuracy: float = float("nan")
    """Of the last epoch."""
    steps: int = 0
    seconds: float = 0.0
    """Wall time spent on it, in every process that worked on it."""

    @property
    def weights(self) -> dict[str, Tensor]:
        """A copy of the inner net's state, as it is stored."""
        return snapshot(self.model.net)

    def save(self) -> dict[str, Tensor]:
        """A copy of the state."""
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
        """Go on from a saved state."""
        self.model.net.load_state_dict(_below("net", state))
        self._load_moments(_below("optimizer", state))
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
            index, _, what = name.partition(".")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # In the parameter's memory layout: fused optimizers take it for granted.
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            moments.setdefault(int(index), {})[what] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})

    def _all_streams(self) -> list[tuple[str, torch.Generator]]:
        """Every stream that training draws from, dropout's included."""
        streams = [*self.streams.items(), ("default", torch.default_generator)]
        if self.device == "cuda":
            streams.append(("cuda", torch.cuda.default_generators[torch.cuda.current_device()]))
        return streams


def _below(prefix: str, state: State) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {n.removeprefix(start): value for n, value in state.items() if n.startswith(start)}
