"""Build a net from its name and fit it to a dataset.

Every net is built by `build`; nothing else in protoscore looks at a net's name.
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
from scoring.nets.sizes import Dims, TextNet, VisionNet
from scoring.nets.text_nets import LSTM, BagOfEmbeddings
from scoring.nets.whitened_cnn import whitened_cnn
from scoring.run_spec import NetSpec

PrivateForm = Literal["same", "group_norm", "none"]
"""How a net is changed for private training; "none": it cannot be trained privately."""

_IMAGE_NETS: dict[str, VisionNet] = {
    "lenet5": lenet5,
    "mlp": mlp,
    "paper_cnn": paper_cnn,
    "resnetv2": resnetv2,
    "small_cnn": small_cnn,
    "whitened_cnn": whitened_cnn,
}
_TEXT_NETS: dict[str, TextNet] = {"bag_of_embeddings": BagOfEmbeddings, "lstm": LSTM}


def net_names() -> tuple[str, ...]:
    """Return the names of protoscore's own nets, which respect `NetSpec.width` and dropout."""
    return tuple(sorted({**_IMAGE_NETS, **_TEXT_NETS}))


def text_net_names() -> tuple[str, ...]:
    """Return the names of protoscore's nets that read texts; all other nets take images."""
    return tuple(sorted(_TEXT_NETS))


def check_net(name: str) -> None:
    """Refuse the name of a net that does not exist, without building it.

    Raises:
        UnknownName: the net is neither ours nor torchvision's nor a `package.module:factory`.
        UserError: the factory cannot be imported.
    """
    if name in net_names():
        return
    if ":" in name:
        factories.load_factory(name)
    elif not factories.is_torchvision(name):
        known = [*net_names(), "a torchvision classifier", "package.module:factory"]
        raise UnknownName("--net", name, known)


def net_source(name: str) -> str:
    """Return the content hash of a user's factory file, "" for other nets: part of a run's key.

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
        classes: C, number of logits.
        dropout: probability of dropping a unit of the last hidden layer (our own nets only).

    Returns:
        A module in training mode that maps inputs, as made by `scoring.inputs.as_input`, to logits
        [N, C]. Its `net` is the inner module, whose state is what checkpoints hold.

    Raises:
        UserError: there is no such net, or it does not take such examples.
    """
    check_net(net.name)
    inner = _build_inner(net, shape, classes, dropout)
    if net.group_norm:
        inner = with_group_norm(inner)
    fitted = Fitted(inner, net, _preprocessing(net, shape))
    _check_output(fitted, net, shape, classes)
    return fitted


def private_form(net: NetSpec, shape: Dims, classes: int) -> PrivateForm:
    """Return the form in which a net can be trained privately: it must not mix examples.

    BatchNorm mixes them. Recurrent layers do not, but Opacus' ghost clipping, which makes private
    training affordable, cannot compute the norms of their gradients.
    """
    with torch.random.fork_rng(devices=[]):
        inner = _build_inner(net, shape, classes, dropout=0.0)
    if any(isinstance(part, nn.RNNBase) for part in inner.modules()):
        return "none"
    return "group_norm" if holds_batch_norm(inner) else "same"


def _build_inner(net: NetSpec, shape: Dims, classes: int, dropout: float) -> nn.Module:
    if ":" in net.name:
        return factories.user_net(net.name, shape, classes)
    if len(shape) == 1:
        if net.name not in _TEXT_NETS:
            known = " or ".join(text_net_names())
            raise UserError(f"--net: expected a net that reads texts, {known}, got {net.name}")
        return _TEXT_NETS[net.name](classes, net.width, dropout)
    if net.name in _TEXT_NETS:
        raise UserError(
            f"--net: expected a net that takes images, got {net.name}, which reads texts"
        )
    height, width, depth = shape
    if net.name in _IMAGE_NETS:
        return _IMAGE_NETS[net.name]((height, width, depth), classes, net.width, dropout)
    return factories.torchvision_net(net.name, classes)


def _preprocessing(net: NetSpec, shape: Dims) -> nn.Module:
    """Return the module in front of the net: it normalises pixels and leaves token ids alone."""
    if len(shape) == 1:
        return nn.Identity()
    depth = shape[2]
    from_torchvision = net.name not in _IMAGE_NETS and ":" not in net.name
    channels = factories.TORCHVISION_CHANNELS if from_torchvision and depth == 1 else depth
    return Normalised(net, depth=depth, channels=channels)


def _check_output(fitted: Fitted, net: NetSpec, shape: Dims, classes: int) -> None:
    """Run one example of zeros, so that a net that does not fit fails here, in one line."""
    text = len(shape) == 1
    examples = "x".join(map(str, shape)) + (" tokens" if text else " images")
    expected = f"--net {net.name}: expected a net that maps {examples} to"
    zeros = torch.zeros(1, *shape, dtype=torch.int16 if text else torch.uint8)
    fitted.eval()
    try:
        with torch.no_grad():
            output = tuple(fitted(as_input(zeros)).shape)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{expected} {classes} logits, got {reason}") from error
    finally:
        fitted.train()
    if output != (1, classes):
        raise UserError(f"{expected} [1, {classes}] logits, got {list(output)}")
