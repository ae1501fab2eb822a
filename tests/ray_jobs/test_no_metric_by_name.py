"""Jobs know metrics by their declarations; names belong to users and to `scoring`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ray_jobs
from ray_jobs.commands.evaluate import EVALUATIONS
from scoring.registry import metrics

ROOT = Path(ray_jobs.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def strings(source: str) -> Iterator[ast.Constant]:
    """String constants, except those that are statements: docstrings."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_string and id(node) not in docstrings:
            yield node


@pytest.mark.parametrize("module", MODULES)
def test_no_string_is_a_metrics_name(module):
    found = [
        f"{node.value} in line {node.lineno}"
        for node in strings((ROOT / module).read_text(encoding="utf-8"))
        if node.value in metrics().keys() - EVALUATIONS.keys()  # an evaluation may be called so too
    ]
    assert not found


def test_names_are_found_outside_docstrings():
    source = '''
"""conf"""
class Flags:
    """conf"""
    metrics: tuple[str, ...] = ("conf", "of conf")
    """conf"""
'''
    assert [(node.value, node.lineno) for node in strings(source)] == [("conf", 5), ("of conf", 5)]
