"""Training recipes by name, and what fine-tuning and privacy make of them.

Sources: Carlini et al. 2019, appendix (`paper_*`); Agarwal, D'souza & Hooker, "Estimating Example
Difficulty using Variance of Gradients" (CVPR 2022), appendix (`vog_cifar`).
"""

from dataclasses import replace

from scoring.errors import UnknownName
from scoring.run_spec import Recipe

RECIPES: dict[str, Recipe] = {
    # "Decay 1e-3" is read as Keras' `decay`: inverse-time, at every step, not weight decay.
    "paper_mnist": Recipe(learning_rate=1e-3, learning_rate_decay=1e-3, batch_rows=128, epochs=20),
    "paper_cifar": Recipe(
        learning_rate=1e-3, batch_rows=32, epochs=100, milestones=(80,), crop=4, flip=True
    ),
    "vog_cifar": Recipe(
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        batch_rows=128,
        epochs=350,
        milestones=(150, 250),
        crop=4,
        flip=True,
    ),
    # A CIFAR net of 85 % and more in the hours of a small machine.
    "short_cifar": Recipe(
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        batch_rows=128,
        epochs=15,
        milestones=(9, 13),
        crop=4,
        flip=True,
    ),
    # Until every label is learnt by heart, wrong ones too.
    "memorise": Recipe(learning_rate=2e-3, batch_rows=64, epochs=40, milestones=(28, 34)),
    "quick": Recipe(learning_rate=2e-3, batch_rows=64, epochs=8, min_steps=600),
    "text": Recipe(learning_rate=1e-3, batch_rows=64, epochs=4, min_steps=400, dropout=0.5),
    # To try the path, not the scores; training dynamics need two epochs.
    "smoke": Recipe(learning_rate=2e-3, batch_rows=64, epochs=2),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in RECIPES:
        raise UnknownName("--recipe", name, RECIPES)
    return RECIPES[name]


def finetuned(base: Recipe) -> Recipe:
    """`base` for going on from trained weights until the training loss stops falling.

    A tenth of the learning rate, held constant; at most as many epochs as `base`.
    """
    return replace(
        base,
        learning_rate=base.learning_rate / 10,
        learning_rate_decay=0.0,
        milestones=(),
        until_flat=0.02,
    )


def heavy(base: Recipe) -> Recipe:
    """`base` with heavy augmentation and dropout, for twice as long, as they slow learning down.

    Random crops after four pixels of padding; whether images may be mirrored is `base`'s to know.
    """
    return replace(
        base,
        crop=max(base.crop, 4),
        dropout=max(base.dropout, 0.5),
        epochs=2 * base.epochs,
        min_steps=2 * base.min_steps,
        milestones=tuple(2 * epoch for epoch in base.milestones),
    )


def private(base: Recipe) -> Recipe:
    """`base` for DP-SGD: SGD with momentum on larger batches, for as many epochs.

    No stopping rule that looks at the data, and no regularisation: noise and clipping do that.
    More steps on small sets would cost the low epsilons more than they give the high ones.
    """
    return replace(
        base,
        optimizer="sgd",
        learning_rate=0.15,
        momentum=0.9,
        weight_decay=0.0,
        learning_rate_decay=0.0,
        milestones=(),
        until_flat=0.0,
        min_steps=min(base.min_steps, 120),
        batch_rows=256,
        dropout=0.0,
    )
