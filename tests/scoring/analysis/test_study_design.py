from dataclasses import replace

import numpy as np
import pytest
from report_store import publish_scores, shapes, write_dataset

from scoring.analysis.snapshot import take_snapshot
from scoring.analysis.study_design import CELLS, Pool, Size, draw_sets, read_pool
from scoring.errors import UserError
from scoring.store.storage import Storage

SIZE = Size(sets=4, screens=30, gold=6)


def pool(rows: int = 400, classes: int = 4) -> Pool:
    """Every eleventh example is mispredicted, as the class before it."""
    label = np.arange(rows) % classes
    return Pool(
        ids=np.arange(rows) + 1000,
        label=label,
        predicted=np.where(np.arange(rows) % 11 == 0, (label - 1) % classes, label),
        typical=np.random.default_rng(0).random(rows) * 100,
    )


def labels(drawn: Pool, screen) -> list[int]:
    return drawn.label[np.searchsorted(drawn.ids, screen.shown)].tolist()


@pytest.mark.parametrize("size", [SIZE, Size(sets=3, screens=7, gold=3)])
def test_every_set_has_its_screens_and_both_questions(size):
    sets = draw_sets(pool(), size, seed=0)
    assert len(sets) == size.sets
    for number, screens in enumerate(sets):
        questions = [screen.question for screen in screens]
        first = "worst" if number % 2 == 0 else "best"
        half = size.screens - size.screens // 2
        assert questions[:half] == [first] * half
        assert set(questions[half:]) == {"worst", "best"} - {first}
        assert len(screens) == size.screens
        assert sum(screen.gold is not None for screen in screens) == size.gold
        assert all(len(set(screen.shown)) == CELLS for screen in screens)


def test_plain_screens_show_one_class_and_gold_ones_an_odd_image():
    drawn = pool()
    cells = set()
    for screen in (screen for set_ in draw_sets(drawn, SIZE, seed=1) for screen in set_):
        shown = labels(drawn, screen)
        if screen.gold is None:
            assert set(shown) == {screen.label}
            continue
        cells.add(screen.gold)
        odd = shown.pop(screen.gold)
        assert len(set(shown)) == 1
        assert odd != shown[0]
        assert (odd == screen.label) == (screen.question == "best")
        assert (shown[0] == screen.label) == (screen.question == "worst")
    assert len(cells) > 4


def test_gold_images_are_typical_and_rightly_predicted():
    drawn = pool()
    by_id = {i: row for row, i in enumerate(drawn.ids.tolist())}
    for screen in (screen for set_ in draw_sets(drawn, SIZE, seed=2) for screen in set_):
        for row in (by_id[i] for i in screen.shown if screen.gold is not None):
            of_class = drawn.typical[drawn.label == drawn.label[row]]
            assert drawn.predicted[row] == drawn.label[row]
            assert drawn.typical[row] > np.quantile(of_class, 0.4)


def test_gold_questions_avoid_the_classes_confused_most():
    drawn = pool()
    pairs = set()
    for screen in (screen for set_ in draw_sets(drawn, SIZE, seed=3) for screen in set_):
        if screen.gold is not None:
            pairs.add(frozenset(labels(drawn, screen)))
    # Neighbours in the circle of four classes are confused: of three others, two are kept.
    assert {frozenset({0, 2}), frozenset({1, 3})} <= pairs
    strict = replace(drawn, predicted=np.where(drawn.label == 0, 1, drawn.label))
    for screen in (screen for set_ in draw_sets(strict, SIZE, seed=3) for screen in set_):
        if screen.gold is not None:
            assert set(labels(strict, screen)) != {0, 1}


def test_all_images_of_a_class_are_shown_before_one_comes_again():
    drawn = pool(rows=4 * CELLS * 3)
    plain = [s for set_ in draw_sets(drawn, SIZE, seed=4) for s in set_ if s.gold is None]
    first = [screen.shown for screen in plain if screen.label == 2][:3]
    assert len({i for shown in first for i in shown}) == 3 * CELLS


def test_the_same_seed_gives_the_same_study():
    assert draw_sets(pool(), SIZE, seed=5) == draw_sets(pool(), SIZE, seed=5)
    assert draw_sets(pool(), SIZE, seed=5) != draw_sets(pool(), SIZE, seed=6)


def test_classes_that_do_not_fill_a_screen_are_left_out():
    drawn = pool()
    few = np.flatnonzero(drawn.label == 1)[CELLS - 1 :]
    keep = np.setdiff1d(np.arange(400), few)
    small = Pool(
        **{name: getattr(drawn, name)[keep] for name in ("ids", "label", "predicted", "typical")}
    )
    shown = {s.label for set_ in draw_sets(small, SIZE, seed=0) for s in set_}
    assert shown == {0, 2, 3}
    one = replace(small, label=np.where(small.label == 1, 1, 0))
    with pytest.raises(UserError, match="expected two or more classes with 9 or more ranked"):
        draw_sets(one, SIZE, seed=0)


def test_the_pool_holds_what_is_ranked_and_labelled(tmp_path):
    storage = Storage(str(tmp_path))
    train = replace(shapes(60, 2, seed=1), broken=frozenset({7}))
    train = replace(train, label=np.where(np.arange(60) == 9, -1, train.label))
    examples = {"train": train, "test": shapes(30, 2, seed=2)}
    versions = write_dataset(storage, "shapes", examples, ("round", "square"))
    publish_scores(storage, "shapes", versions, examples)
    found = read_pool(take_snapshot(storage.uri), "train")
    assert found.ids.tolist() == [i for i in range(60) if i not in (7, 9)]
    assert found.label.tolist() == train.label[found.ids].tolist()
    assert found.predicted.tolist() == train.predicted[found.ids].tolist()
    # Both metrics agree on the ends of a class.
    of_class = found.label == 0
    typical = train.values["adv_l2"][found.ids]
    assert np.argmax(found.typical[of_class]) == np.argmax(typical[of_class])
