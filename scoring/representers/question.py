"""What `explain` should answer: which rows, which of their outputs, and with how many points."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from scoring.arrays import Ints
from scoring.representers.explainer import Points
from scoring.staged.features import StagedFeatures

Outputs = Literal["predicted", "label", "all"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which rows of a shard to explain, and how."""

    outputs: Outputs
    """Outputs to explain."""
    k: int
    """Points of each sign."""
    ids: tuple[int, ...] = ()
    """Explain only these examples; empty: all."""
    misclassified: bool = False
    """Explain only examples whose strongest output is not their label's."""
    confused: tuple[int, int] | None = None
    """(label, class): explain only examples of this label that are predicted as this class."""

    @property
    def takes_all(self) -> bool:
        """Whether every example of a shard is explained."""
        return not (self.ids or self.misclassified or self.confused)

    def select_rows(self, staged: StagedFeatures) -> StagedFeatures:
        """Return the rows of a shard to explain."""
        predicted, labels = staged.outputs.argmax(axis=1), staged.labels
        keep = np.ones(len(labels), dtype=np.bool_)
        if self.ids:
            keep &= np.isin(staged.ids, self.ids)
        if self.misclassified:
            keep &= (predicted != labels) & (labels >= 0)
        if self.confused:
            label, taken_for = self.confused
            keep &= (labels == label) & (predicted == taken_for)
        if self.outputs == "label":
            keep &= labels >= 0
        return StagedFeatures(
            ids=staged.ids[keep],
            labels=labels[keep],
            features=staged.features[keep],
            outputs=staged.outputs[keep],
        )

    def select_outputs(self, staged: StagedFeatures) -> Ints:
        """Return the outputs to explain for each of T rows, [T, m]."""
        if self.outputs == "all":
            return np.tile(np.arange(staged.outputs.shape[1]), (len(staged.ids), 1))
        outputs: Ints = staged.labels if self.outputs == "label" else staged.outputs.argmax(axis=1)
        return outputs[:, None]


def explanations(staged: StagedFeatures, points: Points) -> dict[str, npt.NDArray[Any]]:
    """Return the points of some rows as columns of `representers`; unknown labels are -1."""
    return {
        "test_id": staged.ids[points.test],
        "label": staged.labels[points.test],
        "predicted": staged.outputs.argmax(axis=1)[points.test],
        "class": points.output,
        "sign": points.sign,
        "rank": points.rank,
        "train_id": points.train_id,
        "train_label": points.train_label,
        "alpha": points.alpha,
        "similarity": points.similarity,
        "value": points.value,
    }
