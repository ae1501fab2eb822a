from dataclasses import replace

import numpy as np
import pytest
import torch

from scoring.data.training_set import TrainingSet
from scoring.inputs import as_input
from scoring.left_out import LeftOut
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.training.batches import augment, gatherer, shuffled_batches, training_rows

CPU = torch.device("cpu")


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(rows=64, side=8, depth=3):
    numbers = np.random.default_rng(0)
    return torch.from_numpy(numbers.integers(1, 256, (rows, side, side, depth), dtype=np.uint8))


def rows_of(data, seed=3, left_out=None):
    net = NetSpec(name="mlp")
    spec = RunSpec(kind="plain", split="train", net=net, seed=seed, left_out=left_out)
    return training_rows(spec, data)


def blank(rows):
    return TrainingSet(
        ids=np.arange(rows) + 7,
        inputs=np.zeros((rows, 2, 2, 1), dtype=np.uint8),
        labels=np.arange(rows) % 2,
        classes=2,
    )


def test_the_order_of_rows_depends_on_the_seed():
    data = blank(101)
    assert sorted(rows_of(data).tolist()) == list(range(101))
    assert torch.equal(rows_of(data), rows_of(data))
    assert not torch.equal(rows_of(data), rows_of(data, seed=4))


@pytest.mark.parametrize("chosen", [None, np.arange(0, 101, 2)], ids=["all", "chosen"])
def test_a_member_leaves_out_the_rows_whose_ids_are_in_its_fold(chosen):
    data = replace(blank(101), chosen=chosen)
    left_out = LeftOut(seed=0, round=1, fold=2, folds=3)
    kept = {row for row in rows_of(data).tolist() if not left_out.holds(data.ids[[row]])[0]}
    members = rows_of(data, left_out=left_out)
    assert len(members) == len(kept)
    assert set(members.tolist()) == kept
    assert 0 < len(kept) < len(rows_of(data))


def test_an_epoch_holds_every_row_once_in_a_new_order():
    rows = torch.arange(100, 150)
    numbers = stream()
    first, second = (torch.cat(list(shuffled_batches(rows, 16, numbers))) for _ in range(2))
    assert sorted(first.tolist()) == sorted(second.tolist()) == rows.tolist()
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("rows", "sizes"), [(50, [16, 16, 16, 2]), (49, [16, 16, 17]), (1, [1]), (16, [16])]
)
def test_a_last_batch_of_one_row_joins_the_one_before(rows, sizes):
    assert [len(b) for b in shuffled_batches(torch.arange(rows), 16, stream())] == sizes


@pytest.mark.filterwarnings("error")
def test_read_only_arrays_are_gathered_without_a_warning():
    images = random_images().numpy()
    images.flags.writeable = False
    labels = np.arange(64)
    labels.flags.writeable = False
    gather = gatherer(
        TrainingSet(ids=np.arange(len(images)), inputs=images, labels=labels, classes=64), CPU
    )
    rows = torch.tensor([5, 3, 3, 60])
    got, got_labels = gather(rows)
    assert got_labels.tolist() == rows.tolist()
    np.testing.assert_array_equal(got.numpy(), images[rows.numpy()])
    assert gather(rows[:0])[0].shape == (0, 8, 8, 3)


def test_pixels_are_in_unit_range_and_channels_last():
    images = random_images()
    got = as_input(images)
    assert got.dtype == torch.float32
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got, torch.stack(list(images.permute(0, 3, 1, 2))) / 255)


def test_no_augmentation_returns_the_images_themselves():
    images = random_images()
    assert augment(images, Recipe(), stream()) is images


def test_flip_mirrors_about_half_of_the_images():
    images = random_images(rows=400)
    got = augment(images, Recipe(flip=True), stream())
    kept = (got == images).flatten(1).all(1)
    mirrored = (got == images.flip(2)).flatten(1).all(1)
    assert torch.equal(kept, ~mirrored)
    # The standard deviation of Binomial(400, 1/2) is 10; five of them.
    assert abs(int(mirrored.sum()) - 200) < 50


def test_crops_are_windows_of_the_zero_padded_image():
    images, border = random_images(rows=300, depth=1), 2
    got = augment(images, Recipe(crop=border), stream())
    padded = np.pad(images.numpy(), ((0, 0), (border, border), (border, border), (0, 0)))
    offsets = set()
    for image, window in zip(padded, got.numpy(), strict=True):
        matches = [
            (top, left)
            for top in range(2 * border + 1)
            for left in range(2 * border + 1)
            if np.array_equal(image[top : top + 8, left : left + 8], window)
        ]
        assert len(matches) == 1
        offsets.update(matches)
    assert len(offsets) == 25  # every offset occurs: each is missed with probability (24/25)^300


def test_crop_and_flip_together_keep_shape_and_type():
    got = augment(random_images(rows=5), Recipe(crop=3, flip=True), stream())
    assert got.shape == (5, 8, 8, 3)
    assert got.dtype == torch.uint8
