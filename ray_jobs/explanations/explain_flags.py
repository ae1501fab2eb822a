"""The flags of `explain`."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.terminal.console import default_store
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.errors import UserError
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class ExplainFlags:
    """What to explain, and by which layer."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    split: Split = "test"
    """Whose examples to explain; always by those of the training split."""
    ids: tuple[int, ...] = ()
    """Only these example ids."""
    misclassified: bool = False
    """Only those whose predicted class is not their label."""
    confused: tuple[str, str] | None = None
    """LABEL PREDICTED: only those of one class that are taken for another, by name or index."""
    outputs: Annotated[
        Literal["auto", "predicted", "label", "all"], tyro.conf.arg(name="class")
    ] = "auto"
    """The class whose output is explained; auto: the predicted one, with --confused the label."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10
    """Training examples of each sign."""
    run: str = "base"
    """The run whose net it is: the base model of the published scores, or a run's key."""
    layer: str = "last"
    """A linear layer of the net by its name; behind any but the last, a ReLU is expected."""
    penalty: Annotated[float, tyro.conf.arg(name="lambda")] = 0.003
    """L2 penalty under which the layer is brought to rest; smaller is nearer to the net."""
    targets: Literal["teacher", "labels"] = "teacher"
    """What the layer should give: what it gave before, to explain the net as it is, or the
    labels."""
    smooth: int = 1
    """Average sensitivity maps over so many noisy copies of the image (SmoothGrad)."""
    page: str = "explain.html"
    """Where to draw the examples of --ids."""
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        for flag, value in (("--k", self.k), ("--lambda", self.penalty), ("--smooth", self.smooth)):
            if not 0 < value < math.inf:
                raise UserError(f"{flag}: expected a number above 0, got {value}")
        chosen = [
            flag
            for flag, given in (
                ("--ids", self.ids),
                ("--misclassified", self.misclassified),
                ("--confused", self.confused),
            )
            if given
        ]
        if len(chosen) > 1:
            raise UserError(f"{chosen[1]}: expected it without {chosen[0]}, got both")
        self.machine.check()
