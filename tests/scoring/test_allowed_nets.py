"""Which factories may be imported: those that the command line names, and nothing of a file's."""

import sys

import pytest

from scoring.allowed_nets import allow_nets, check_allowed, forget_allowed_nets
from scoring.errors import UserError
from scoring.nets import check_net, net_source


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch):
    forget_allowed_nets()
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    forget_allowed_nets()


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The current folder: a module that tells when it is imported, and one that hides Python's."""
    (tmp_path / "trap.py").write_text("open('imported', 'w')\nmake = print\n")
    (tmp_path / "queue.py").write_text("open('imported', 'w')\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "imported"
    sys.modules.pop("trap", None)


@pytest.mark.parametrize("use", [check_net, net_source, check_allowed])
def test_a_factory_that_the_command_line_does_not_name_is_not_imported(use, trap, monkeypatch):
    monkeypatch.syspath_prepend(trap.parent)
    allow_nets(["mlp", "", "trap:other"])
    for name in ("trap:make", "os:system", "trap.make:make"):
        with pytest.raises(UserError, match=f"^expected --allow-nets {name} "):
            use(name)
    assert not trap.exists()


@pytest.mark.parametrize(
    "name", ["trap:", ":make", "trap:make:make", "../trap:make", "trap:make()", "a..b:make", "if:x"]
)
def test_a_name_that_is_none_is_refused_before_anything_is_looked_for(name, trap):
    expected = f"expected package.module:factory, got {name!r}"
    for use in (check_net, net_source, lambda name: allow_nets([name])):
        with pytest.raises(UserError) as refused:
            use(name)
        assert str(refused.value) == f"--net: {expected}"
    assert not trap.exists()


def test_the_folder_of_an_allowed_factory_comes_last_on_the_import_path(trap):
    before = [*sys.path]
    allow_nets(["trap:make"])
    assert sys.path == [*before, str(trap.parent)]
    check_net("trap:make")
    assert trap.exists()
    allow_nets(["trap:make", "trap:other"])
    assert sys.path == [*before, str(trap.parent)]


def test_a_module_on_the_import_path_needs_no_other_folder(trap, monkeypatch):
    before = [*sys.path]
    allow_nets(["json.decoder:JSONDecoder", "torch.nn:Linear", "sys:exit", "no_such_module:make"])
    assert sys.path == before
    check_net("torch.nn:Linear")


def test_another_process_learns_what_is_allowed(trap):
    """As a worker, which gets the environment and has an import path of its own."""
    allow_nets(["trap:make"])
    sys.path.remove(str(trap.parent))
    check_net("trap:make")
    assert trap.exists()
    assert sys.path[-1] == str(trap.parent)


def test_what_was_allowed_is_forgotten(trap):
    allow_nets(["trap:make"])
    forget_allowed_nets()
    with pytest.raises(UserError, match="expected --allow-nets trap:make"):
        check_net("trap:make")
