"""Reasons why an example has no value, as far as several modules need them; free of torch."""

from typing import Literal

End = Literal["prototypical", "outlying"]
"""An end of a ranking."""

UNLABELLED = "unlabelled"
"""The metric needs a label and the example has none."""
EXCLUDED = "excluded"
"""A correction excludes the example: no run trains on it, and no ranking counts it."""
NO_ADVERSARIAL = "no_adversarial_found"
"""The attack used up its budget without changing the class."""
TOO_FEW_CHECKPOINTS = "too_few_checkpoints"
"""A variance needs at least two checkpoints."""
SEEN_BY_ALL = "seen_by_all"
"""Every model whose training rows are known saw the example."""
SEEN_BY_NONE = "seen_by_none"
"""No model whose training rows are known saw the example."""
NOBODY_KNOWS = "training_rows_unknown"
"""Nobody knows what any of the models was trained on."""
NO_TALLY = "epochs_unknown"
"""No model that the metric reads looked at the example, under its label, while it trained."""
NOT_FINITE = "not_finite"
"""The model's output, or what the metric made of it, is NaN or infinite."""
