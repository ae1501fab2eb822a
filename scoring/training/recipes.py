"""Training recipes by name, and their variants for fine-tuning, augmentation and privacy.

Sources: Carlini et al. 2019, appendix (`paper_*`); Agarwal, D'souza & Hooker, "Estimating Example
Difficulty using Variance of Gradients" (CVPR 2022), appendix (`vog_cifar`).
"""

from dataclasses import replace

from scoring.errors import UnknownName
from scoring.run_spec import Recipe

RECIPES: dict[str, Recipe] = {
    # We take "decay 1e-3" as Keras' `decay`: inverse-time decay at every step, not weight decay.
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
    # At least 85 % on CIFAR-10 within hours on a small machine.
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
    # For `whitened_cnn`: 87 % on CIFAR-10.
    "swift": Recipe(
        optimizer="sgd",
        learning_rate=0.2,
        momentum=0.85,
        nesterov=True,
        weight_decay=5e-4,
        batch_rows=250,
        epochs=8,
        min_steps=600,
        peak=0.25,
        crop=2,
        flip=True,
    ),
    # Trains until every label is memorised, wrong ones included.
    "memorise": Recipe(learning_rate=2e-3, batch_rows=64, epochs=40, milestones=(28, 34)),
    "quick": Recipe(learning_rate=2e-3, batch_rows=64, epochs=8, min_steps=600),
    "text": Recipe(learning_rate=1e-3, batch_rows=64, epochs=4, min_steps=400, dropout=0.5),
    # Tests that everything runs, not for useful scores; training dynamics need two epochs.
    "smoke": Recipe(learning_rate=2e-3, batch_rows=64, epochs=2),
}


def recipe(name: str) -> Recipe:
    """Return the recipe called `name`.

    Raises:
        UnknownName: there is none.
    """
    if name not in RECIPES:
        raise UnknownName("--recipe", name, RECIPES)
    return RECIPES[name]


def finetuned(base: Recipe) -> Recipe:
    """Adapt `base` to continue from trained weights until the training loss stops falling.

    Uses a tenth of the learning rate, held constant, and at most as many epochs as `base`.
    """
    return replace(
        base,
        learning_rate=base.learning_rate / 10,
        learning_rate_decay=0.0,
        milestones=(),
        peak=0.0,
        until_flat=0.02,
    )


def heavy(base: Recipe) -> Recipe:
    """Add heavy augmentation and dropout to `base` and train twice as long, as they slow learning.

    Crops at random after padding by four pixels; whether to mirror images is left to `base`.
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
    """Adapt `base` to DP-SGD: SGD with momentum on larger batches, for as many epochs.

    There is no stopping rule, which would look at the data, and no regularisation beyond noise and
    clipping. On small sets, more steps would hurt low epsilons more than they would help high ones.
    """
    return replace(
        base,
        optimizer="sgd",
        learning_rate=0.15,
        momentum=0.9,
        nesterov=False,
        weight_decay=0.0,
        learning_rate_decay=0.0,
        milestones=(),
        peak=0.0,
        until_flat=0.0,
        min_steps=min(base.min_steps, 120),
        batch_rows=256,
        dropout=0.0,
    )
