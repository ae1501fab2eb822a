"""Replace BatchNorm by GroupNorm, as private training requires.

With BatchNorm, an example's gradient depends on the rest of its batch, so clipping it no longer
bounds what one example can change.
"""

from torch import Tensor, nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def holds_batch_norm(net: nn.Module) -> bool:
    """Whether any layer of `net` is a BatchNorm."""
    return any(isinstance(part, _BATCH_NORMS) for part in net.modules())


def with_group_norm(net: nn.Module) -> nn.Module:
    """Replace every BatchNorm of C channels by a GroupNorm of gcd(32, C) groups."""
    if not holds_batch_norm(net):
        return net
    from opacus.validators import ModuleValidator  # slow to import, and most nets do not need it

    fixed: nn.Module = ModuleValidator.fix(net)
    norms = [
        (parent, name, part)
        for parent in fixed.modules()
        for name, part in parent.named_children()
        if isinstance(part, nn.GroupNorm)
    ]
    for parent, name, part in norms:
        setattr(parent, name, nn.Sequential(part, _Copy()))
    return fixed


class _Copy(nn.Module):
    """Copies its input: residual nets add to a norm's output in place, which hooks forbid."""

    def forward(self, features: Tensor) -> Tensor:
        """Return a copy."""
        return features.clone()
