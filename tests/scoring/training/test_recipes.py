from dataclasses import replace

import pytest

from scoring.errors import UnknownName
from scoring.run_spec import Recipe
from scoring.training.recipes import RECIPES, finetuned, private, recipe


def test_the_recipes_of_the_papers_match_the_papers():
    mnist, cifar, vog = (recipe(name) for name in ("paper_mnist", "paper_cifar", "vog_cifar"))
    assert (mnist.optimizer, mnist.learning_rate, mnist.learning_rate_decay) == ("adam", 1e-3, 1e-3)
    assert (cifar.optimizer, cifar.learning_rate, cifar.batch_rows) == ("adam", 1e-3, 32)
    assert (cifar.epochs, cifar.milestones, cifar.gamma) == (100, (80,), 0.1)
    assert (cifar.crop, cifar.flip) == (4, True)
    assert (vog.optimizer, vog.learning_rate, vog.momentum) == ("sgd", 0.1, 0.9)
    assert (vog.epochs, vog.milestones, vog.weight_decay) == (350, (150, 250), 5e-4)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UnknownName, match=r"--recipe: expected one of .*quick.*got 'fast'"):
        recipe("fast")


@pytest.mark.parametrize("base", RECIPES.values(), ids=RECIPES)
def test_fine_tuning_keeps_the_recipe_but_learns_slower_until_flat(base):
    tuned = finetuned(base)
    assert tuned.learning_rate == pytest.approx(base.learning_rate / 10)
    assert tuned.until_flat > 0
    assert tuned.milestones == ()
    assert (tuned.optimizer, tuned.batch_rows, tuned.crop) == (
        base.optimizer,
        base.batch_rows,
        base.crop,
    )


def test_private_training_has_no_data_dependent_stop():
    base = replace(finetuned(Recipe(epochs=7)), dropout=0.5, weight_decay=1e-3)
    dp = private(base)
    assert (dp.optimizer, dp.epochs, dp.until_flat) == ("sgd", 7, 0.0)
    assert (dp.dropout, dp.weight_decay, dp.learning_rate_decay) == (0.0, 0.0, 0.0)
