"""The tally of a run: what it added up of examples over its epochs of training."""

from dataclasses import dataclass

from scoring.arrays import Floats32, Ints


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a run added up of N examples over its K epochs of training.

    NaN where the run does not keep that number, did not look at the example, or knew it by another
    label.
    """

    probability: Floats32
    """[N] float32, mean over epochs of f(x)_label."""
    margin: Floats32
    """[N] float32, mean over epochs of z_label - max_other z."""
    wrong_since: Floats32
    """[N] float32, first epoch from which the label's logit is never the largest; K + 1 if it is
    the largest after the last epoch."""
    probabilities: Floats32 | None = None
    """[N, C] float32, mean over epochs of f(x), of examples that the run did not train on; None if
    it keeps none."""

    def rows(self, rows: Ints) -> "Tally":
        """Return the tally of some of the examples."""
        return Tally(
            probability=self.probability[rows],
            margin=self.margin[rows],
            wrong_since=self.wrong_since[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
        )
