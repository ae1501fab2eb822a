"""The flags of `explain`."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.terminal.console import default_store
from ray_jobs.terminal.night_flags import MachineFlags
from ray_jobs.terminal.shared_flags import AllowedNets, PublishedDataset, StoreUri, by_default
from scoring.errors import UserError
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class ExplainFlags:
    """The examples to explain, and the layer to explain them by."""

    store: StoreUri = field(default_factory=default_store)
    dataset: PublishedDataset = None
    split: Split = "test"
    """Split to explain, always by training examples."""
    ids: Annotated[tuple[int, ...], by_default("all examples")] = ()
    """Explain only the examples with these ids, and draw them on a page."""
    misclassified: bool = False
    """Explain only examples whose predicted class is not their label."""
    confused: Annotated[tuple[str, str] | None, by_default("all examples")] = None
    """LABEL PREDICTED: explain only examples of one class that are taken for another.
    Give classes by name or index."""
    outputs: Annotated[
        Literal["auto", "predicted", "label", "all"], tyro.conf.arg(name="class")
    ] = "auto"
    """Class whose output to explain. auto: the predicted class; with --confused, the label."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10
    """Number of training examples of each sign, excitatory and inhibitory."""
    run: str = "base"
    """Run to explain: base, the base model of the published scores, or a run's key."""
    layer: str = "last"
    """Linear layer of the net to explain by, by name. All but the last must feed a ReLU."""
    penalty: Annotated[float, tyro.conf.arg(name="lambda")] = 0.003
    """L2 penalty on the layer at rest. A smaller one changes the net less."""
    targets: Literal["teacher", "labels"] = "teacher"
    """What the layer is fitted to. teacher: its own outputs, to explain the net as it is.
    labels: the labels."""
    smooth: int = 1
    """Average sensitivity maps over this many noisy copies of an image (SmoothGrad)."""
    page: str = "explain.html"
    """File to draw the examples of --ids in."""
    report: Annotated[str, by_default("no links")] = ""
    """Report to link the examples of the page to, by its address as seen from the page."""
    images: bool = True
    """Draw the examples themselves, images or texts, and maps; --no-images leaves them out."""
    allow_nets: AllowedNets = ()
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
