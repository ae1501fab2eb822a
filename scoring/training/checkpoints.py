"""Weights as bytes, and users' checkpoint files: tensors only, never arbitrary pickles."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor, nn

from scoring.errors import UserError
from scoring.store.sealed import BLANK, SEAL

_SUFFIXES = (".safetensors", ".pt", ".pth")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIX = "module."  # added by DataParallel


def snapshot(net: nn.Module) -> dict[str, Tensor]:
    """Copy the net's state to the CPU: floats as float32, contiguous in memory."""
    return {name: _plain_copy(value) for name, value in net.state_dict().items()}


def _plain_copy(value: Tensor) -> Tensor:
    dtype = torch.float32 if value.is_floating_point() else value.dtype
    copy = value.detach().to("cpu", dtype, copy=True)
    return copy.contiguous()


def to_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """Serialise weights as safetensors, with floats as float32; the seal is blank."""
    return exact_bytes({name: _plain_copy(value) for name, value in weights.items()})


def exact_bytes(state: Mapping[str, Tensor]) -> bytes:
    """Serialise contiguous tensors as safetensors, keeping their types; the seal is blank."""
    return safetensors.save(dict(state), metadata={SEAL: BLANK})


def from_bytes(data: bytes) -> dict[str, Tensor]:
    """Load tensors written by `to_bytes` or `exact_bytes`."""
    return safetensors.load(data)


def content_hash(weights: Mapping[str, Tensor]) -> str:
    """Hash names, shapes, dtypes and values of weights: 32 hex digits of a SHA-256."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        sha.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        sha.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:32]


def load_user_weights(source: str | Path | bytes, name: str) -> dict[str, Tensor]:
    """Read a user's checkpoint: a .safetensors file, or a .pt or .pth file of tensors only.

    A state dict may be wrapped as {"state_dict": ...} and its names may start with "module.".

    Args:
        source: path or contents of the file.
        name: name of the file for errors; its suffix tells the format.

    Raises:
        UserError: the file cannot be read, or does not hold a state dict of tensors.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UserError(f"{name}: expected a file ending in {', '.join(_SUFFIXES)}, got {suffix!r}")
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        loaded = from_bytes(data) if suffix == ".safetensors" else _load_tensors(data)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{name}: expected a checkpoint of tensors only, got other Python objects, "
            "which are not loaded because they can run code; save model.state_dict()"
        ) from error
    except Exception as error:  # readers raise all kinds of errors on broken files
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{name}: expected a readable {suffix} checkpoint, got {reason}") from error
    return _state_dict(loaded, name)


def _is_plain(value: object) -> bool:
    """Whether a value is a dense tensor that is all there: a view may repeat a number for ever."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and value.nbytes <= value.untyped_storage().nbytes()
    )


def _load_tensors(data: bytes) -> Any:  # noqa: ANN401
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _state_dict(loaded: Any, name: str) -> dict[str, Tensor]:  # noqa: ANN401
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded:
        raise UserError(f"{name}: expected a state dict, got {type(loaded).__name__}")
    if unnamed := [key for key in loaded if not isinstance(key, str)]:
        raise UserError(f"{name}: expected names of tensors, got {unnamed[0]!r}")
    if wrong := [key for key, value in loaded.items() if not _is_plain(value)]:
        raise UserError(f"{name}: expected a tensor for every name, got none for {wrong[0]!r}")
    prefixed = all(key.startswith(_PREFIX) for key in loaded)
    return {key[len(_PREFIX) :] if prefixed else key: _plain_copy(t) for key, t in loaded.items()}
