"""The GroupNorm form of a net: what private training needs in place of BatchNorm.

BatchNorm makes one example's gradient depend on the others of its batch, so that clipping it no
longer bounds what one example can change.
"""

from torch import Tensor, nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def holds_batch_norm(net: nn.Module) -> bool:
    """Whether any layer of `net` is a BatchNorm."""
    return any(isinstance(part, _BATCH_NORMS) for part in net.modules())


def with_group_norm(net: nn.Module) -> nn.Module:
    """`net` with every BatchNorm of C channels replaced by GroupNorm of gcd(32, C) groups."""
    if not holds_batch_norm(net):
        return net
    from opacus.validators import ModuleValidator  # slow to import, and most nets do without

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
    """Copies its input: residual nets add to a norm's output in place, and hooks forbid that."""

    def forward(self, features: Tensor) -> Tensor:
        """The same values in memory of their own."""
        return features.clone()
