"""Reasons why an example has no value, as far as several modules need them; free of torch."""

from typing import Literal

End = Literal["prototypical", "outlying"]
"""An end of a ranking."""

UNLABELLED = "unlabelled"
"""The metric needs a label and the example has none."""
NO_ADVERSARIAL = "no_adversarial_found"
"""The attack used up its budget without changing the class."""
TOO_FEW_CHECKPOINTS = "too_few_checkpoints"
"""A variance needs at least two checkpoints."""
NOT_FINITE = "not_finite"
"""The model's output, or what the metric made of it, is NaN or infinite."""
