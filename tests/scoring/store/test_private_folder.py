import os
import re
import stat

import pytest

from scoring.errors import Outage
from scoring.store.private_folder import open_private_folder


@pytest.fixture
def folder(tmp_path):
    """One that was opened before, with a file in it."""
    folder = tmp_path / "mine"
    os.close(open_private_folder(folder, "--scratch"))
    (folder / "kept").touch()
    return folder


def refusal(folder):
    with pytest.raises(Outage) as refused:
        open_private_folder(folder, "--scratch")
    message = str(refused.value)
    assert re.match(rf"--scratch: expected '{folder}' on .* to be a folder of your own", message)
    assert "\n" not in message
    return message


def test_it_is_made_for_this_user_alone_and_can_be_opened_again(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    opened = open_private_folder(folder, "--scratch")
    assert "kept" in os.listdir(opened)
    os.close(opened)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o750, 0o777])
def test_one_that_others_can_enter_is_refused(folder, mode):
    folder.chmod(mode)
    assert f"got one that others can enter (mode {mode:o})" in refusal(folder)


def test_one_of_somebody_else_is_refused(folder, monkeypatch):
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert f"got a folder of user {mine}" in refusal(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_one_that_somebody_else_planted_is_refused(folder):
    os.chown(folder, 12345, -1)
    assert "got a folder of user 12345" in refusal(folder)


def test_a_link_is_not_followed(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert "got a link" in refusal(tmp_path / "link")


def test_a_dangling_link_is_not_filled(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert "got a link" in refusal(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    refusal(tmp_path / "file")


def test_a_folder_with_files_of_something_else_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir(mode=0o700)
    (folder / "chapter").touch()
    assert "got files of something else in it" in refusal(folder)
    assert os.listdir(folder) == ["chapter"]


def test_its_parent_must_exist(tmp_path):
    assert "got No such file or directory" in refusal(tmp_path / "no" / "such")
