from pathlib import Path

import pytest

from scoring.errors import Outage, UserError
from scoring.report.folder import GENERATOR, appearing, check_output

PAGE = f'<meta name="generator" content="{GENERATOR}">'.encode()


def write_small(target: Path, page: bytes = PAGE) -> None:
    with appearing(str(target)) as folder:
        folder.write("index.html", page)
        folder.write("data/deep/file.js", b"1234")
        assert folder.size == len(page) + 4


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "report"
    check_output(str(target))
    with appearing(str(target)) as folder:
        folder.write("index.html", PAGE)
        assert not target.exists()
    assert (target / "index.html").read_bytes() == PAGE
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_an_earlier_report_is_replaced_with_all_its_files(tmp_path):
    target = tmp_path / "report"
    write_small(target)
    check_output(str(target))
    with appearing(str(target)) as folder:
        folder.write("index.html", PAGE + b"new")
    assert [path.name for path in target.rglob("*")] == ["index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_failure_leaves_the_earlier_report_in_place(tmp_path, monkeypatch):
    target = tmp_path / "report"
    write_small(target)

    def stop_half_way():
        with appearing(str(target)) as folder:
            folder.write("index.html", b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert (target / "index.html").read_bytes() == PAGE

    rename = Path.rename

    def fails(path, to):
        if path.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(Outage, match="No space left"):
        write_small(target, PAGE + b"new")
    assert (target / "index.html").read_bytes() == PAGE
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_only_reports_and_empty_folders_are_replaced(tmp_path):
    for name in ("thesis", "pages", "mixed", "file"):
        path = tmp_path / name
        if name == "file":
            path.write_bytes(PAGE)
        else:
            path.mkdir()
            (path / ("chapter.tex" if name == "thesis" else "index.html")).write_text("mine")
        if name == "mixed":  # a report with a file of the user
            (path / "index.html").write_bytes(PAGE)
            (path / "notes.txt").write_text("mine")
        with pytest.raises(UserError, match="--output: expected a new folder, an empty one or an"):
            check_output(str(path))
    with pytest.raises(UserError, match="--output: expected a folder inside one that exists"):
        check_output(str(tmp_path / "none" / "report"))
    with pytest.raises(UserError, match=r"several pages, got 'out/r.html'; try 'out/r'$"):
        check_output("out/r.html")
    empty = tmp_path / "empty"
    empty.mkdir()
    check_output(str(empty))
    write_small(empty)


def test_a_full_disk_is_reported_in_one_line(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    def write_on_a_full_disk():
        with appearing(str(tmp_path / "report")) as folder, monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            folder.write("index.html", b"")

    with pytest.raises(Outage, match=r"^--output .*: No space left on device; make room"):
        write_on_a_full_disk()
    assert list(tmp_path.iterdir()) == []
