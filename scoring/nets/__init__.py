"""Networks by name: the papers' own, any torchvision classifier, any `package.module:factory`."""

from scoring.nets.builder import (
    PrivateForm,
    build,
    check_net,
    net_names,
    net_source,
    private_form,
    text_net_names,
)
from scoring.nets.fitted import Fitted
from scoring.nets.sizes import Dims

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
