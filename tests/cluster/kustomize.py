"""As much of Kustomize as `cluster/kuberay` uses, so that tests see what would be applied."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
_KNOWN = {"apiVersion", "kind", "namespace", "resources", "patches", "images", "replacements"}
_LOCAL = "config.kubernetes.io/local-config"


def render(folder: Path) -> list[Object]:
    """The objects of a folder, in Kustomize's order: patches, namespace, images, replacements."""
    about = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert about.keys() <= _KNOWN, f"{folder}: teach the tests {about.keys() - _KNOWN}"
    found: list[Object] = []
    for resource in about["resources"]:
        path = folder / resource
        found += render(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for patch in about.get("patches", ()):
        for item in _of_kind(found, patch["target"]["kind"], patch["target"].get("name", ".*")):
            for step in yaml.safe_load((folder / patch["path"]).read_text()):
                assert step["op"] in ("add", "replace")
                keys = step["path"].removeprefix("/").split("/")
                keys = [key.replace("~1", "/") for key in keys]
                if step["op"] == "replace":
                    _get(item, keys)  # it must be there
                _put(item, keys, step["value"])
    for item in found:
        if "namespace" in about:
            item["metadata"]["namespace"] = about["namespace"]
        for image in about.get("images", ()):
            _retag(item, image)
    for rule in about.get("replacements", ()):
        (source,) = _of_kind(found, rule["source"]["kind"])
        value = _get(source, rule["source"]["fieldPath"].split("."))
        for target in rule["targets"]:
            for item in _of_kind(found, target["select"]["kind"]):
                for path in target["fieldPaths"]:
                    _put(item, path.split("."), deepcopy(value))
    return [item for item in found if _LOCAL not in item["metadata"].get("annotations", ())]


def _of_kind(found: list[Object], pattern: str, name: str = ".*") -> list[Object]:
    matching = [
        item
        for item in found
        if re.fullmatch(pattern, item["kind"]) and re.fullmatch(name, item["metadata"]["name"])
    ]
    assert matching, f"nothing is a {pattern} named {name}"
    return matching


def _get(tree: Any, keys: list[str]) -> Any:
    for key in keys:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    return tree


def _put(tree: Any, keys: list[str], value: Any) -> None:
    *parents, last = keys
    parent = _get(tree, parents)
    if last == "-":
        parent.append(value)
    elif isinstance(parent, list):
        parent[int(last)] = value
    else:
        parent[last] = value


def _retag(tree: Any, image: dict[str, str]) -> None:
    if isinstance(tree, dict):
        name, _, tag = str(tree.get("image")).partition(":")
        if name == image["name"]:
            tree["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"
        tree = [*tree.values()]
    if isinstance(tree, list):
        for child in tree:
            _retag(child, image)
