"""Nets that are not ours: torchvision's classifiers by name, and the user's own factories."""

import hashlib
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

from torch import nn

from scoring.errors import UserError
from scoring.nets.sizes import Dims

TORCHVISION_CHANNELS = 3


def is_torchvision(name: str) -> bool:
    """Whether torchvision has a classifier of that name."""
    from torchvision import models  # two seconds that nobody with a net of ours should wait

    return name in models.list_models(module=models)


def torchvision_net(name: str, classes: int) -> nn.Module:
    """The untrained classifier, with a head for `classes`; it reads three channels."""
    from torchvision import models

    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def user_net(name: str, shape: Dims, classes: int) -> nn.Module:
    """What `package.module:factory`, called as `factory(shape, classes)`, returns.

    Raises:
        UserError: it cannot be imported, fails, or does not return a module.
    """
    factory = load_factory(name)
    try:
        net = factory(shape, classes)
    except Exception as error:  # a user's code may fail in any way
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
        UserError: the module cannot be imported or has no such callable.
    """
    module_name, _, attribute = name.partition(":")
    try:
        factory: Callable[[Dims, int], object] = getattr(
            importlib.import_module(module_name), attribute
        )
    except Exception as error:  # a user's module may fail in any way as it is imported
        raise UserError(
            f"--net: expected an importable package.module:factory, got {name!r} "
            f"({type(error).__name__}: {error})"
        ) from error
    if not callable(factory):
        raise UserError(f"--net: expected {name!r} to be callable, got {type(factory).__name__}")
    return factory


def source_hash(name: str) -> str:
    """SHA-256 (32 hex digits) of the file that holds a user's factory.

    Raises:
        UserError: the module or its file cannot be found.
    """
    module_name = name.partition(":")[0]
    try:
        found = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise UserError(f"--net: expected the source file of {module_name!r}, got none")
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:32]
