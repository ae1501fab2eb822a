import os

import pytest

from scoring.data.files import is_local, list_files, locate
from scoring.errors import BadData
from scoring.store.filesystems import filesystem


@pytest.fixture
def root(store_uri):
    """A folder of files, on disk and on object storage."""
    fs, path = filesystem(store_uri)
    for name in ("b.parquet", "a.parquet", "notes.txt", ".c.parquet", "_d.parquet", "e/f.parquet"):
        fs.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{path}/{name}", name.encode())
    return store_uri


def names(uri):
    return [file.name for file in list_files(uri, ".parquet", "--train")]


def test_lists_a_folder_a_glob_or_one_file(root):
    assert names(root) == ["a.parquet", "b.parquet"]
    assert names(f"{root}/") == ["a.parquet", "b.parquet"]
    assert names(f"{root}/b*.parquet") == ["b.parquet"]
    assert names(f"{root}/[ax].parquet") == ["a.parquet"]
    assert names(f"{root}/*/*.parquet") == ["e/f.parquet"]
    assert names(f"{root}/**/*.parquet") == ["a.parquet", "b.parquet", "e/f.parquet"]
    assert names(f"{root}/a.parquet") == ["a.parquet"]
    assert names(f"{root}/.c.parquet") == [".c.parquet"]  # named explicitly


@pytest.mark.parametrize("pattern", ["", "/b*.parquet", "/b.parquet", "/*"])
def test_a_file_is_found_again(root, pattern):
    uri = f"{root}{pattern}"
    file = list_files(uri, ".parquet", "--train")[-1]
    assert locate(uri, file.name, "--train", file.fingerprint) == file.path


def test_a_changed_file_is_noticed(root):
    (file,) = list_files(f"{root}/b.parquet", ".parquet", "--train")
    fs, _ = filesystem(root)
    fs.pipe_file(file.path, b"something else")
    (changed,) = list_files(f"{root}/b.parquet", ".parquet", "--train")
    assert changed.fingerprint != file.fingerprint
    with pytest.raises(
        BadData, match=r"--test: expected 'b.parquet' to stay unchanged, .* run again"
    ):
        locate(root, "b.parquet", "--test", file.fingerprint)
    fs.rm_file(file.path)
    with pytest.raises(BadData, match=r"--test: cannot read 'b.parquet' again \(FileNotFound"):
        locate(root, "b.parquet", "--test", file.fingerprint)


def test_an_empty_listing_is_refused(root):
    for uri in (f"{root}/nothing", f"{root}/x*.parquet", f"{root}/nothing/*.parquet"):
        with pytest.raises(BadData, match=r"--train: expected .parquet files, got none at"):
            list_files(uri, ".parquet", "--train")


def test_a_folder_may_have_a_name_like_a_glob(tmp_path):
    folder = tmp_path / "night[1]"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"a")
    (file,) = list_files(str(folder), ".parquet", "--train")
    assert (file.name, file.path) == ("a.parquet", str(folder / "a.parquet"))
    assert locate(str(folder), "a.parquet", "--train", file.fingerprint) == file.path


def test_a_link_changes_with_its_target(tmp_path):
    target = tmp_path / "elsewhere.parquet"
    target.write_bytes(b"one")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.parquet").symlink_to(target)
    (before,) = list_files(str(tmp_path / "data"), ".parquet", "--train")
    target.write_bytes(b"three")
    (after,) = list_files(str(tmp_path / "data"), ".parquet", "--train")
    assert before.fingerprint != after.fingerprint


def test_a_new_modification_time_is_a_change(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"one")
    (before,) = list_files(str(path), ".parquet", "--train")
    os.utime(path, (1, 1))
    (after,) = list_files(str(path), ".parquet", "--train")
    assert before.fingerprint != after.fingerprint


@pytest.mark.s3
def test_a_missing_s3_bucket_is_refused(s3_store):
    with pytest.raises(BadData, match=r"--train: .*'s3://no-such-bucket/x'"):
        list_files("s3://no-such-bucket/x", ".parquet", "--train")


def test_paths_and_file_uris_are_local():
    assert is_local("data/train")
    assert is_local("file:///data/train")
    assert not is_local("s3://bucket/train")
