"""What is asked of test rows: which are meant, which outputs to explain, by how many points."""

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
    """What is asked of every shard."""

    outputs: Outputs
    """The outputs to explain."""
    k: int
    """Points of each sign."""
    ids: tuple[int, ...] = ()
    """Only these examples; empty: all."""
    misclassified: bool = False
    """Only those whose strongest output is not their label's."""
    confused: tuple[int, int] | None = None
    """Only those of this label that are taken for that class."""

    @property
    def whole(self) -> bool:
        """Every example of a shard is meant."""
        return not (self.ids or self.misclassified or self.confused)

    def meant(self, staged: StagedFeatures) -> StagedFeatures:
        """The rows of a shard that are meant."""
        predicted, labels = staged.outputs.argmax(axis=1), staged.labels
        meant = np.ones(len(labels), dtype=np.bool_)
        if self.ids:
            meant &= np.isin(staged.ids, self.ids)
        if self.misclassified:
            meant &= (predicted != labels) & (labels >= 0)
        if self.confused:
            label, taken_for = self.confused
            meant &= (labels == label) & (predicted == taken_for)
        if self.outputs == "label":
            meant &= labels >= 0
        return StagedFeatures(
            ids=staged.ids[meant],
            labels=labels[meant],
            features=staged.features[meant],
            outputs=staged.outputs[meant],
        )

    def chosen(self, staged: StagedFeatures) -> Ints:
        """[T, m]: the outputs to explain of each row."""
        if self.outputs == "all":
            return np.tile(np.arange(staged.outputs.shape[1]), (len(staged.ids), 1))
        chosen: Ints = staged.labels if self.outputs == "label" else staged.outputs.argmax(axis=1)
        return chosen[:, None]


def explanations(staged: StagedFeatures, points: Points) -> dict[str, npt.NDArray[Any]]:
    """Points of some rows as the columns of `representers`; unknown labels are -1."""
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
