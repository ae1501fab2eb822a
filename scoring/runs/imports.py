"""Imported runs: a user's own checkpoints, listed in a manifest, become runs like any other.

    {"runs": [{"weights": "resnet.pt", "net": "resnet18", "role": "base",
               "mean": [0.5], "std": [0.25], "classes": ["cat", "dog"]}]}

`weights` is a .safetensors file or a .pt state dict, relative to the manifest. `role` is `base`
(the model that attacks probe), `ensemble`, or `checkpoint`: one of the states that a net went
through in training, in the order of the manifest, for the metrics that watch it learn; the last one
is the trained net. `mean` and `std` are how the net normalises pixels in [0, 1]; `classes` is the
order of its outputs if that differs from the dataset's. `"unseen": true` says that the net was
trained on none of the dataset's rows. Otherwise nobody knows, and out-of-bag scores do without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Any

from torch import Tensor

from scoring.data.files import read_file, unread
from scoring.data.sources import Layout
from scoring.errors import BadData, UserError
from scoring.nets import build
from scoring.run_spec import NetSpec, RunSpec
from scoring.runs.fleet import Fleet, at_rest
from scoring.store.json_text import parse_json
from scoring.store.layout import import_path
from scoring.store.sealed import write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import content_hash, load_user_weights, to_bytes

_FLAG = "--import-runs"
_ROLES = ("base", "ensemble", "checkpoint")
_REASON_CHARACTERS = 200
_WIDEST = 64
_LARGEST = 1e9
_SCHEMES = ("file", "s3")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A checkpoint that replaces runs of the fleet."""

    spec: RunSpec
    role: str
    weights: Mapping[str, Tensor]


def read_manifest(path: str, layout: Layout) -> tuple[Imported, ...]:
    """Read and check a manifest and its checkpoints, local or on object storage.

    Raises:
        UserError: the manifest or a checkpoint cannot be used; names the file.
    """
    try:
        entries = parse_json(_read(path))["runs"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f'{_FLAG}: expected a JSON file {{"runs": [...]}}, got {path!r}') from error
    if not isinstance(entries, list) or not entries:
        got = _short(repr(entries))
        raise BadData(f"{_FLAG} {path}: expected a list of runs, got {got}")
    imported = _same_once([_imported(path, entry, layout) for entry in entries])
    if (bases := sum(run.role == "base" for run in imported)) > 1:
        raise BadData(f"{_FLAG} {path}: expected at most one run of role base, got {bases}")
    return imported


def store_weights(storage: Storage, imported: Sequence[Imported]) -> None:
    """Write imported weights to the store, where workers turn them into runs."""
    for run in imported:
        write_sealed(storage, import_path(run.spec.weights), to_bytes(run.weights))


def with_imports(fleet: Fleet, imported: Sequence[Imported]) -> Fleet:
    """Replace the base model, ensemble and watched runs of a fleet by imported ones, if any."""
    by_role = {role: tuple(run.spec for run in imported if run.role == role) for role in _ROLES}
    base = (by_role["base"] or (fleet.base,))[0]
    return replace(
        fleet,
        base=base,
        representer=at_rest(base, fleet.representer.layer_at_rest),
        ensemble=by_role["ensemble"] or fleet.ensemble,
        watched=by_role["checkpoint"] or fleet.watched,
    )


def _same_once(imported: Sequence[Imported]) -> tuple[Imported, ...]:
    """Give equal runs the same spec: keys tell 1 from 1.0, which are equal."""
    first: dict[RunSpec, RunSpec] = {}
    return tuple(replace(run, spec=first.setdefault(run.spec, run.spec)) for run in imported)


def _imported(manifest: str, entry: Any, layout: Layout) -> Imported:  # noqa: ANN401
    _check_entry(manifest, entry)
    net = NetSpec(
        name=entry["net"],
        width=entry.get("width", NetSpec.width),
        mean=tuple(entry.get("mean", NetSpec.mean)),
        std=tuple(entry.get("std", NetSpec.std)),
        class_order=_class_order(manifest, entry.get("classes"), layout),
    )
    file = _resolve(manifest, entry["weights"])
    weights = load_user_weights(_read(file), f"{_FLAG} {file}")
    _check_fit(manifest, file, net, weights, layout)
    spec = RunSpec(
        kind="imported",
        split="train",
        net=net,
        weights=content_hash(weights),
        unseen=entry.get("unseen", False),
    )
    return Imported(spec=spec, role=entry.get("role", _ROLES[0]), weights=weights)


def _check_entry(manifest: str, entry: Any) -> None:  # noqa: ANN401
    """Refuse an entry whose fields are not those listed above."""
    if not isinstance(entry, dict) or not {"weights", "net"} <= set(entry) <= set(_FIELDS):
        got = ", ".join(entry) if isinstance(entry, dict) else repr(entry)
        raise BadData(
            f"{_FLAG} {manifest}: expected weights, net and any of {', '.join(_FIELDS)}, "
            f"got {_short(got)}"
        )
    for name, value in entry.items():
        want, fits = _FIELDS[name]
        if not fits(value):
            got = _short(repr(value))
            raise BadData(f"{_FLAG} {manifest}: expected {name} to be {want}, got {got}")


def _check_fit(
    manifest: str, file: str, net: NetSpec, weights: Mapping[str, Tensor], layout: Layout
) -> None:
    """Refuse a net that does not take the images, and weights that do not fit the net."""
    try:
        model = build(net, shape=layout.shape.dims, classes=len(layout.classes))
    except UserError as error:
        raise BadData(f"{_FLAG} {manifest}: {error}") from error
    try:
        model.net.load_state_dict(weights)
    except RuntimeError as error:
        reason = _short(" ".join(str(error).splitlines()[1:]))
        raise BadData(
            f"{_FLAG}: expected weights of {net.name} for {layout.shape.dims} images and "
            f"{len(layout.classes)} classes, got {file!r}: {reason}"
        ) from error


def _class_order(manifest: str, classes: Sequence[str] | None, layout: Layout) -> tuple[int, ...]:
    if classes is None or tuple(classes) == layout.classes:
        return ()
    if sorted(classes) != sorted(layout.classes):
        known, got = (_short(", ".join(c)) for c in (layout.classes, classes))
        raise BadData(
            f"{_FLAG} {manifest}: expected the dataset's classes {known} in any order, got {got}"
        )
    return tuple(list(classes).index(name) for name in layout.classes)


def _resolve(manifest: str, file: str) -> str:
    """Return the path of a file that the manifest names relative to itself.

    Raises:
        BadData: it is somewhere else than on this machine, on S3, or where the manifest is: a
            manifest does not choose which servers are asked.
    """
    scheme, found, _ = file.partition("://")
    if found and scheme not in {*_SCHEMES, manifest.partition("://")[0]}:
        raise BadData(
            f"{_FLAG} {manifest}: expected weights beside the manifest, a local file or s3://, "
            f"got {_short(repr(file))}"
        )
    folder = manifest.rpartition("/")[0]
    return file if "://" in file or file.startswith("/") or not folder else f"{folder}/{file}"


def _read(file: str) -> bytes:
    try:
        return read_file(file)
    except Exception as error:  # each filesystem driver has its own errors
        raise unread(error, f"{_FLAG}: cannot read {file!r}") from error


def _short(text: str) -> str:
    return shorten(text, _REASON_CHARACTERS)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -_LARGEST <= value <= _LARGEST  # not NaN
    )


def _is_list(value: object, fits: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(fits, value))


_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "weights": ("a file name", _is_text),
    "net": ("the name of a net", _is_text),
    "role": (f"one of {', '.join(_ROLES)}", lambda v: v in _ROLES),
    "width": (f"a number above 0, at most {_WIDEST}", lambda v: _is_number(v) and 0 < v <= _WIDEST),
    "mean": (f"a list of numbers up to {_LARGEST:g}", lambda v: _is_list(v, _is_number)),
    "std": (
        f"a list of numbers up to {_LARGEST:g} other than 0",
        lambda v: _is_list(v, _is_number) and 0 not in v,
    ),
    "unseen": ("true or false", lambda v: isinstance(v, bool)),
    "classes": ("a list of class names", lambda v: _is_list(v, _is_text)),
}
