"""Sources read regular files only: a pipe or a device could keep a night waiting for ever."""

import os

import pytest
from image_files import grey_pngs, write_folder, write_parquet
from ingest_here import survey_splits

from ray_jobs.cli import main
from scoring.data.image_folder import ImageFolderSource
from scoring.data.images import ImageShape
from scoring.data.parquet_source import ParquetSource
from scoring.data.sources import Layout
from scoring.errors import BadData
from scoring.runs.imports import read_manifest
from scoring.store.storage import Storage

LAYOUT = Layout(classes=("ant", "bee"), shape=ImageShape(height=8, width=8, channels=1))


def to_itself(path):
    path.symlink_to(path)


IRREGULAR = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": to_itself,
    "a link to nothing": lambda path: path.symlink_to(path.with_name("gone")),
}


@pytest.fixture(params=IRREGULAR)
def place(request):
    """Put something that is no regular file at a path."""
    return IRREGULAR[request.param]


@pytest.mark.timeout(60)
def test_an_image_folder_refuses_them_by_name(tmp_path, place):
    root = write_folder(tmp_path / "data", "train", {"ant": 2, "bee": 2})
    write_folder(tmp_path / "data", "test", {"ant": 2})
    odd = tmp_path / "data/train/bee/odd.png"
    place(odd)
    source = ImageFolderSource(name="mine", data_root=str(tmp_path / "data"))
    with pytest.raises(BadData, match=f"expected a regular file, got .*{odd}"):
        survey_splits(source, Storage(str(tmp_path / "store")))
    assert root


@pytest.mark.timeout(60)
def test_so_does_a_folder_of_parquet(tmp_path, place, capsys):
    write_parquet(tmp_path / "train/a.parquet", grey_pngs(4), [0, 1, 0, 1])
    write_parquet(tmp_path / "test.parquet", grey_pngs(2), [0, 1])
    place(tmp_path / "train/odd.parquet")
    source = ParquetSource(
        name="mine", train=str(tmp_path / "train"), test=str(tmp_path / "test.parquet")
    )
    with pytest.raises(BadData, match=r"expected a regular file, got .*odd\.parquet"):
        survey_splits(source, Storage(str(tmp_path / "store")))
    files = ["--train", source.train, "--test", source.test]
    command = ["plan", "--dataset", "parquet", *files, "--store", str(tmp_path / "store")]
    assert main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.timeout(60)
def test_so_does_an_import(tmp_path, place):
    place(tmp_path / "manifest.json")
    with pytest.raises(BadData, match=r"manifest\.json"):
        read_manifest(str(tmp_path / "manifest.json"), LAYOUT)


def test_a_link_to_a_regular_file_is_one(tmp_path):
    write_parquet(tmp_path / "a.parquet", grey_pngs(4), [0, 1, 0, 1])
    (tmp_path / "train").mkdir()
    (tmp_path / "train/linked.parquet").symlink_to(tmp_path / "a.parquet")
    source = ParquetSource(
        name="mine", train=str(tmp_path / "train"), test=str(tmp_path / "a.parquet")
    )
    surveys = survey_splits(source, Storage(str(tmp_path / "store")))
    assert surveys["train"].rows == 4
