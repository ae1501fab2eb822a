"""Maximum softmax probability of the base model, the usual baseline for out-of-distribution data.

    msp(x) = max_c f(x)_c                                                  f = softmax, eval mode

Range [1/C, 1]; high = prototypical. Values that round to 1 are ordered by the lead of the largest
logit over the rest, log(p / (1 - p)). Needs no label.

Source: Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples
in Neural Networks", ICLR 2017, arXiv:1610.02136, section 3. Cost: one forward pass per example.
"""

import torch
from torch import nn

from scoring.attacks.common import frozen
from scoring.spec import Batch, Columns, ModelMetric


def score(config: object, batch: Batch, model: nn.Module) -> Columns:
    """Return the largest probability of each of N examples, [N] float64."""
    with frozen(model), torch.inference_mode():
        logits = model(batch.inputs).double()
    largest, at = logits.max(dim=1)
    rest = logits.scatter(1, at.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    lead = largest - rest
    return Columns(value=lead.sigmoid().cpu().numpy(), tiebreak=lead.cpu().numpy())


METRIC = ModelMetric(
    name="msp",
    summary="largest softmax probability of the base model",
    purpose="atypical",
    version=1,
    unit="probability",
    prototypical="high",
    source="Hendrycks & Gimpel 2017, section 3",
    score=score,
)
