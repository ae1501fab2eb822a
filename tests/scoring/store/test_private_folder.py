import os
import tempfile

import pytest

from scoring.errors import UserError
from scoring.store.private_folder import private_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_processes_of_a_user_share_a_folder_that_nobody_else_can_write(temporary):
    folder = private_folder()
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o077 == 0
    (folder / "kept").touch()
    assert private_folder() == folder
    assert (folder / "kept").exists()


def test_a_folder_that_others_can_write_is_not_trusted(temporary):
    private_folder().chmod(0o777)
    with pytest.raises(UserError, match=r"TMPDIR: expected .* writable by you alone"):
        private_folder()


def test_a_folder_of_somebody_else_is_not_trusted(temporary, monkeypatch):
    folder = private_folder()
    mine = os.getuid()
    folder.rename(temporary / f"protoscore-{mine + 1}")
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(UserError, match="TMPDIR: expected"):
        private_folder()


def test_a_link_is_not_followed(temporary):
    (temporary / "elsewhere").mkdir(mode=0o700)
    (temporary / f"protoscore-{os.getuid()}").symlink_to(temporary / "elsewhere")
    with pytest.raises(UserError, match="TMPDIR: expected"):
        private_folder()
