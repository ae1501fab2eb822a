"""What the tests of `cluster/` share: its files, and the pods that they ask for."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kustomize import render

ROOT = Path(__file__).parent.parent.parent
CLUSTER = ROOT / "cluster"
KUBERAY = CLUSTER / "kuberay"
APPLIED = ("overlays/cpu", "overlays/gpu", "rescore-now", "raycronjob", "overlay", "overlay-now")
"""The folders with a cluster that the README gives to `kubectl`, itself or as a copy."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RAY = re.search(r"ray\[[\w,]+\]==([\d.]+)", " ".join(PROJECT["dependencies"]))[1]
IMAGE_TAG = f"{PROJECT['version']}-ray{RAY}"

COMPOSE = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
AWS = yaml.safe_load((CLUSTER / "ray-up" / "aws.yaml").read_text())
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*CLUSTER.rglob("*"), ROOT / "Dockerfile", ROOT / ".dockerignore"])
    if path.is_file() and path.name != "compose.env"
}


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that `kubectl apply -k` would send, with a name for messages."""
    for folder in APPLIED:
        for item in render(KUBERAY / folder):
            yield f"{folder}: {item['kind']}", item


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a tree of mappings and lists."""
    if isinstance(tree, dict):
        yield tree
        tree = [*tree.values()]
    if isinstance(tree, list):
        for child in tree:
            yield from nodes(child)


def pod_templates() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template in them."""
    for name, item in objects():
        yield from ((name, node) for node in nodes(item) if "containers" in node.get("spec", ()))


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container in them."""
    for name, template in pod_templates():
        yield from ((f"{name}: {c['name']}", c) for c in template["spec"]["containers"])
