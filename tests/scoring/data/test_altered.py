import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scoring.data.altered import CLEAN, Corrupted, Relabelled, corruption_of
from scoring.data.corruptions import CORRUPTIONS
from scoring.data.images import ImageShape, decode
from scoring.data.named import NamedSource
from scoring.data.sources import Layout, Piece, Rows
from scoring.errors import UnknownName

DIGITS = NamedSource(name="digits", shard_rows=200)


def labels_of(source, split="train"):
    return [label for piece in source.pieces(split) for label in source.read(split, piece).labels]


def test_a_share_of_the_labels_is_redrawn_and_changed_says_which():
    altered = Relabelled(source=DIGITS, share=0.2)
    changed = np.concatenate([altered.changed(p) for p in altered.pieces("train")])
    before, after = np.array(labels_of(DIGITS)), np.array(labels_of(altered))
    np.testing.assert_array_equal(changed, before != after)
    # A redrawn label equals the old one in a tenth of the draws.
    assert changed.mean() == pytest.approx(0.18, abs=0.03)
    assert len(set(after[changed].tolist())) == 10
    assert labels_of(altered, "test") == labels_of(DIGITS, "test")


def test_the_name_states_the_alteration():
    assert Relabelled(source=DIGITS, share=0.2).name == "digits-relabelled-20"
    assert Relabelled(source=DIGITS, share=0.125, seed=3).name == "digits-relabelled-12.5-seed3"
    assert Corrupted(source=DIGITS).name == "digits-c"


def test_only_labels_of_some_classes_change():
    before = np.array(labels_of(DIGITS))
    after = np.array(labels_of(Relabelled(source=DIGITS, share=0.5, only=("3=5", "7"))))
    assert {*before[before != after].tolist()} == {3, 7}
    assert {*after[(before == 3) & (after != 3)].tolist()} == {5}
    assert (after[before == 3] == 5).mean() == pytest.approx(0.5, abs=0.1)
    assert {*after[before == 7].tolist()} == {*range(10)}
    altered = Relabelled(source=DIGITS, share=0.5, only=("3=5", "7"))
    changed = np.concatenate([altered.changed(piece) for piece in altered.pieces("train")])
    np.testing.assert_array_equal(changed, before != after)
    assert altered.name != Relabelled(source=DIGITS, share=0.5, only=("3=5",)).name


@pytest.mark.parametrize("only", ["12", "3=12", "=3", "3=", "3=5=7"])
def test_an_unknown_class_is_named(only):
    with pytest.raises(UnknownName, match="--relabel-classes"):
        Relabelled(source=DIGITS, share=0.5, only=(only,))


def test_labels_depend_on_the_seed_alone():
    altered = Relabelled(source=DIGITS, share=0.2)
    piece = altered.pieces("train")[1]
    whole = altered.read("train", piece).labels
    assert altered.read("train", replace(piece, rows=50)).labels == whole[:50]
    assert Relabelled(source=DIGITS, share=0.2, seed=1).read("train", piece).labels != whole


class Named:
    """A source with class names, one unlabelled row, and image files, one of them broken."""

    name, local, shard_rows = "named", False, 3

    def pieces(self, split):
        return [Piece(file="s3://b/a.parquet", start=0, rows=3, fingerprint="1")]

    def layout(self):
        shape = ImageShape(height=12, width=10, channels=3)
        return Layout(classes=("ant", "bee"), shape=shape)

    def labels(self, split, piece):
        return ["ant", None, "bee"]

    def read(self, split, piece):
        sink = io.BytesIO()
        Image.new("RGB", (10, 12), (200, 30, 90)).save(sink, "png")
        return Rows(
            labels=self.labels(split, piece),
            names=["x", None, "y"],
            encoded=[sink.getvalue(), b"broken", sink.getvalue()],
        )


def test_class_names_and_unknown_labels_can_be_relabelled():
    altered = Relabelled(source=Named(), share=1.0)
    piece = altered.pieces("train")[0]
    labels, changed = altered.read("train", piece).labels, altered.changed(piece)
    assert labels[1] is None
    assert [labels[0] != 0, labels[2] != 1] == changed[[0, 2]].tolist()


def test_every_test_image_comes_clean_and_in_fifteen_corruptions():
    altered = Corrupted(source=DIGITS, rows=30)
    pieces = altered.pieces("test")
    assert altered.pieces("train") == DIGITS.pieces("train")
    assert [corruption_of(piece) for piece in pieces] == [CLEAN, *CORRUPTIONS]
    assert {piece.rows for piece in pieces} == {30}
    clean = altered.read("test", pieces[0])
    original = DIGITS.read("test", replace(DIGITS.pieces("test")[0], rows=30))
    np.testing.assert_array_equal(clean.pixels, original.pixels)
    for piece in pieces[1:]:
        rows = altered.read("test", piece)
        assert rows.labels == clean.labels
        assert rows.names[0] == f"{corruption_of(piece)}/test/0"
        assert (rows.pixels != clean.pixels).any()


def test_a_row_is_corrupted_the_same_way_under_any_limit():
    few, more = (Corrupted(source=DIGITS, rows=rows) for rows in (10, 30))
    for a, b in zip(few.pieces("test"), more.pieces("test"), strict=True):
        np.testing.assert_array_equal(few.read("test", a).pixels, more.read("test", b).pixels[:10])
    piece = more.pieces("test")[1]
    other = Corrupted(source=DIGITS, rows=30, seed=1)
    assert (other.read("test", piece).pixels != more.read("test", piece).pixels).any()


def test_image_files_stay_files_and_broken_ones_stay_broken():
    altered = Corrupted(source=Named())
    shape = altered.layout().shape
    for piece in altered.pieces("test")[1:]:
        first, broken, _ = altered.read("test", piece).encoded
        assert decode(first, shape).shape == (12, 10, 3)
        assert broken == b"broken"
