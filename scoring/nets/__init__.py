"""Networks by name: the papers' own, any torchvision classifier, any `package.module:factory`.

Every net is built through `build`, which fits it to the dataset; nothing else in protoscore knows
what a net is called.
"""

from typing import Literal

import torch
from torch import nn

from scoring.errors import UnknownName, UserError
from scoring.inputs import as_input
from scoring.nets import factories
from scoring.nets.cnn import lenet5, paper_cnn, small_cnn
from scoring.nets.fitted import Fitted, Normalised
from scoring.nets.group_norm import holds_batch_norm, with_group_norm
from scoring.nets.mlp import mlp
from scoring.nets.resnetv2 import resnetv2
from scoring.nets.sizes import Dims, OwnNet, TextNet
from scoring.nets.text_nets import LSTM, BagOfEmbeddings
from scoring.run_spec import NetSpec

__all__ = [
    "Dims",
    "Fitted",
    "PrivateForm",
    "build",
    "check_net",
    "net_names",
    "net_source",
    "private_form",
    "text_net_names",
]

PrivateForm = Literal["same", "group_norm", "none"]

_OWN: dict[str, OwnNet] = {
    "lenet5": lenet5,
    "mlp": mlp,
    "paper_cnn": paper_cnn,
    "resnetv2": resnetv2,
    "small_cnn": small_cnn,
}
_TEXT: dict[str, TextNet] = {"bag_of_embeddings": BagOfEmbeddings, "lstm": LSTM}


def net_names() -> tuple[str, ...]:
    """Names of protoscore's own nets: those that heed `NetSpec.width` and dropout."""
    return tuple(sorted({**_OWN, **_TEXT}))


def text_net_names() -> tuple[str, ...]:
    """Those of them that read texts; all others take images."""
    return tuple(sorted(_TEXT))


def check_net(name: str) -> None:
    """Refuse a name that no net answers to, without building it.

    Raises:
        UnknownName: neither ours, nor torchvision's, nor of the form `package.module:factory`.
        UserError: a factory that cannot be imported.
    """
    if name in net_names():
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


def build(net: NetSpec, *, shape: Dims, classes: int, dropout: float = 0.0) -> Fitted:
    """Build an untrained net for examples of `shape`, initialised by torch's global RNG.

    Args:
        net: which net, and how pixels and class order are fitted to it.
        shape: (H, W, D) of images, (L,) of texts.
        classes: C, how many logits it gives.
        dropout: probability of dropping a unit of the last hidden layer (our own nets only).

    Returns:
        A module from what `scoring.inputs.as_input` gives to logits [N, C], in training mode; its
        `net` is the inner module, whose state is what checkpoints hold.

    Raises:
        UserError: no such net, or none that takes these examples.
    """
    check_net(net.name)
    inner = _inner(net, shape, classes, dropout)
    if net.group_norm:
        inner = with_group_norm(inner)
    fitted = Fitted(inner, net, _prepared(net, shape))
    _check_output(fitted, net, shape, classes)
    return fitted


def private_form(net: NetSpec, shape: Dims, classes: int) -> PrivateForm:
    """The form in which a net can be trained privately, which must keep examples apart.

    BatchNorm mixes them. Recurrent layers do not, but Opacus' ghost clipping, which makes private
    training affordable, has no norms of their gradients.
    """
    with torch.random.fork_rng(devices=[]):
        inner = _inner(net, shape, classes, dropout=0.0)
    if any(isinstance(part, nn.RNNBase) for part in inner.modules()):
        return "none"
    return "group_norm" if holds_batch_norm(inner) else "same"


def _inner(net: NetSpec, shape: Dims, classes: int, dropout: float) -> nn.Module:
    if ":" in net.name:
        return factories.user_net(net.name, shape, classes)
    if len(shape) == 1:
        if net.name not in _TEXT:
            known = " or ".join(text_net_names())
            raise UserError(f"--net: expected one that reads texts, {known}, got {net.name}")
        return _TEXT[net.name](classes, net.width, dropout)
    if net.name in _TEXT:
        raise UserError(f"--net: expected one that takes images, got {net.name}, which reads texts")
    height, width, depth = shape
    if net.name in _OWN:
        return _OWN[net.name]((height, width, depth), classes, net.width, dropout)
    return factories.torchvision_net(net.name, classes)


def _prepared(net: NetSpec, shape: Dims) -> nn.Module:
    """What stands before the net: pixels are normalised, token ids stay as they are."""
    if len(shape) == 1:
        return nn.Identity()
    depth = shape[2]
    borrowed = net.name not in _OWN and ":" not in net.name
    channels = factories.TORCHVISION_CHANNELS if borrowed and depth == 1 else depth
    return Normalised(net, depth=depth, channels=channels)


def _check_output(fitted: Fitted, net: NetSpec, shape: Dims, classes: int) -> None:
    """Run one example of zeros, so that a net which does not fit fails here, in one line."""
    text = len(shape) == 1
    what = "x".join(map(str, shape)) + (" tokens" if text else " images")
    wanted = f"--net {net.name}: expected a net that maps {what} to"
    zeros = torch.zeros(1, *shape, dtype=torch.int16 if text else torch.uint8)
    fitted.eval()
    try:
        with torch.no_grad():
            got = tuple(fitted(as_input(zeros)).shape)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{wanted} {classes} logits, got {reason}") from error
    finally:
        fitted.train()
    if got != (1, classes):
        raise UserError(f"{wanted} [1, {classes}] logits, got {list(got)}")
