"""Nets that are not ours: torchvision's classifiers by name, and the user's own factories."""

import hashlib
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

from torch import nn

from scoring.allowed_nets import check_allowed
from scoring.errors import UserError
from scoring.nets.sizes import Dims

TORCHVISION_CHANNELS = 3


def is_torchvision(name: str) -> bool:
    """Whether torchvision has a classifier called `name`."""
    from torchvision import models  # takes two seconds, which our own nets need not cost

    return name in models.list_models(module=models)


def torchvision_net(name: str, classes: int) -> nn.Module:
    """Build an untrained classifier that takes three channels and has a head for `classes`."""
    from torchvision import models

    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def user_net(name: str, shape: Dims, classes: int) -> nn.Module:
    """Build a net by calling the user's `package.module:factory` as `factory(shape, classes)`.

    Raises:
        UserError: the factory cannot be imported, fails, or does not return a module.
    """
    factory = load_factory(name)
    try:
        net = factory(shape, classes)
    except Exception as error:  # user code may fail in any way
        raise UserError(
            f"--net {name}: expected a net for examples of {shape} and {classes} classes, got "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(net, nn.Module):
        raise UserError(
            f"--net {name}: expected a factory that returns a torch.nn.Module, "
            f"got {type(net).__name__}"
        )
    return net


def load_factory(name: str) -> Callable[[Dims, int], object]:
    """Import the factory that `package.module:factory` names.

    Raises:
        UserError: the command line does not allow the factory, or the module cannot be imported or
            has no such callable.
    """
    check_allowed(name)
    module_name, _, attribute = name.partition(":")
    try:
        factory: Callable[[Dims, int], object] = getattr(
            importlib.import_module(module_name), attribute
        )
    except Exception as error:  # importing user code may fail in any way
        raise UserError(
            f"--net: expected an importable package.module:factory, got {name!r} "
            f"({type(error).__name__}: {error})"
        ) from error
    if not callable(factory):
        raise UserError(f"--net: expected {name!r} to be callable, got {type(factory).__name__}")
    return factory


def source_hash(name: str) -> str:
    """Hash the file that holds a user's factory: 32 hex digits of its SHA-256.

    Raises:
        UserError: the command line does not allow the factory, or its file cannot be found.
    """
    check_allowed(name)
    module_name = name.partition(":")[0]
    try:
        found = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise UserError(f"--net: expected the source file of {module_name!r}, got none")
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:32]
