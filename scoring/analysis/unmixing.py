"""What models would make of examples if they had been trained on right labels.

    p(x) = q(x) U    U = (1 - belief) I + belief T    T_cy = how often class c is labelled y

Models expect what they were taught. Where a tenth of the cats is labelled dog, a model that was
stopped early says cat .9 and dog .1 of what surely is a cat. It believes the noise, so p = q T. A
model that knows its labels by heart is surer than that. q is found from p by the rule of Richardson
(1972) and Lucy (1974), which raises the likelihood with each step and keeps q a probability.
"""

import numpy as np

from scoring.arrays import Floats

HALF = 0.5
"""Half of the noise is believed: models are in between, and nobody knows where."""
_STEPS = 10
_LEAST = 1e-6  # probability


def unmixed(probabilities: Floats, channel: Floats, belief: float) -> Floats:
    """Return q [N, C].

    Args:
        probabilities: [N, C] p.
        channel: [C, C] T.
        belief: how much of the noise models believe, in [0, 1].
    """
    mixing = (1 - belief) * np.eye(len(channel)) + belief * channel
    given = np.maximum(probabilities, _LEAST)
    found = given = given / given.sum(axis=1, keepdims=True)
    for _ in range(_STEPS):
        found = found * ((given / (found @ mixing)) @ mixing.T)
    freed: Floats = found / found.sum(axis=1, keepdims=True)
    return freed
