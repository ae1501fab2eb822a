"""Networks by name: the papers' own, any torchvision classifier, any `package.module:factory`.

Every net is built through `build`, which fits it to the dataset; nothing else in protoscore knows
what a net is called.
"""

import torch
from torch import nn

from scoring.errors import UnknownName, UserError
from scoring.nets import factories
from scoring.nets.cnn import lenet5, paper_cnn, small_cnn
from scoring.nets.fitted import Fitted
from scoring.nets.group_norm import holds_batch_norm, with_group_norm
from scoring.nets.mlp import mlp
from scoring.nets.resnetv2 import resnetv2
from scoring.nets.sizes import OwnNet, Shape
from scoring.run_spec import NetSpec

__all__ = ["Fitted", "build", "check_net", "has_batch_norm", "net_names", "net_source"]

_OWN: dict[str, OwnNet] = {
    "lenet5": lenet5,
    "mlp": mlp,
    "paper_cnn": paper_cnn,
    "resnetv2": resnetv2,
    "small_cnn": small_cnn,
}


def net_names() -> tuple[str, ...]:
    """Names of protoscore's own nets: those that heed `NetSpec.width` and dropout."""
    return tuple(sorted(_OWN))


def check_net(name: str) -> None:
    """Refuse a name that no net answers to, without building it.

    Raises:
        UnknownName: neither ours, nor torchvision's, nor of the form `package.module:factory`.
        UserError: a factory that cannot be imported.
    """
    if name in _OWN:
        return
    if ":" in name:
        factories.load_factory(name)
    elif not factories.is_torchvision(name):
        known = [*net_names(), "a torchvision classifier", "package.module:factory"]
        raise UnknownName("--net", name, known)


def net_source(name: str) -> str:
    """Content hash of the user's factory file, "" for other nets: part of a run's key.

    Only the file itself counts, not what it imports.

    Raises:
        UserError: the file cannot be found.
    """
    return factories.source_hash(name) if ":" in name else ""


def build(
    net: NetSpec, *, shape: tuple[int, int, int], classes: int, dropout: float = 0.0
) -> Fitted:
    """Build an untrained net for images of `shape` (H, W, D), initialised by torch's global RNG.

    Args:
        net: which net, and how pixels and class order are fitted to it.
        shape: (H, W, D) of the images.
        classes: C, how many logits it gives.
        dropout: probability of dropping a unit of the last hidden layer (our own nets only).

    Returns:
        A module from float32 [N, D, H, W] in [0, 1] to logits [N, C], in training mode; its `net`
        is the inner module, whose state is what checkpoints hold.

    Raises:
        UserError: no such net, or none that takes these images.
    """
    check_net(net.name)
    inner = _inner(net, shape, classes, dropout)
    if net.group_norm:
        inner = with_group_norm(inner)
    depth = shape[2]
    borrowed = net.name not in _OWN and ":" not in net.name
    channels = factories.TORCHVISION_CHANNELS if borrowed and depth == 1 else depth
    fitted = Fitted(inner, net, depth=depth, channels=channels)
    _check_output(fitted, net, shape, classes)
    return fitted


def has_batch_norm(net: NetSpec, shape: tuple[int, int, int], classes: int) -> bool:
    """Whether the net as named has BatchNorm, which private training must replace."""
    with torch.random.fork_rng(devices=[]):
        return holds_batch_norm(_inner(net, shape, classes, dropout=0.0))


def _inner(net: NetSpec, shape: Shape, classes: int, dropout: float) -> nn.Module:
    if net.name in _OWN:
        return _OWN[net.name](shape, classes, net.width, dropout)
    if ":" in net.name:
        return factories.user_net(net.name, shape, classes)
    return factories.torchvision_net(net.name, classes)


def _check_output(fitted: Fitted, net: NetSpec, shape: Shape, classes: int) -> None:
    """Run one black image, so that a net which does not fit fails here, in one line."""
    height, width, depth = shape
    wanted = f"--net {net.name}: expected a net that maps {height}x{width}x{depth} images to"
    fitted.eval()
    try:
        with torch.no_grad():
            got = tuple(fitted(torch.zeros(1, depth, height, width)).shape)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{wanted} {classes} logits, got {reason}") from error
    finally:
        fitted.train()
    if got != (1, classes):
        raise UserError(f"{wanted} [1, {classes}] logits, got {list(got)}")
