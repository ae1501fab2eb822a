"""ResNetV2 for CIFAR: bottleneck blocks in pre-activation form, 9n + 2 layers, n = 2.

He et al., "Identity Mappings in Deep Residual Networks" (2016, arXiv:1603.05027), in the form of
the Keras CIFAR-10 example that the appendix of Carlini et al. 2019 uses: 574,090 values, of which
570,602 are trained, at 32x32x3 and ten classes. We differ: we take the mean over all pixels in
place of an 8x8 average pool (the same at 32x32); BatchNorm keeps PyTorch's momentum, which suits
short trainings; and weight decay is left to the recipe.
"""

from torch import Tensor, nn

from scoring.nets.sizes import Shape

_BLOCKS = 2  # n: blocks in each of the three stages


def resnetv2(shape: Shape, classes: int, width: float, dropout: float) -> nn.Module:
    """ResNet20v2; works from 4x4 pixels up.

    `width` scales the first 16 channels in steps of four, so that GroupNorm finds groups.
    """
    return ResNetV2(shape[2], classes, max(4, 4 * round(4 * width)), dropout)


class ResNetV2(nn.Module):
    """Three stages of bottleneck blocks at full, half and quarter resolution."""

    def __init__(self, depth: int, classes: int, base: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(depth, base, 3, padding=1), nn.BatchNorm2d(base), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        features, inner = base, base
        for stage in range(3):
            outer = 4 * inner if stage == 0 else 2 * inner
            for block in range(_BLOCKS):
                stride = 2 if stage > 0 and block == 0 else 1
                activated = stage == 0 and block == 0  # the stem ends with norm and ReLU
                blocks.append(
                    Bottleneck(features, inner, outer, stride, block == 0, activated=activated)
                )
                features = outer
            inner = outer
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(nn.BatchNorm2d(features), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)
        self.apply(_he_normal)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, D, H, W] to logits [N, C]."""
        features: Tensor = self.last(self.blocks(self.stem(images)))
        logits: Tensor = self.head(self.dropout(features.mean((2, 3))))
        return logits


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each after its own norm and ReLU, around a shortcut."""

    def __init__(
        self, features: int, inner: int, outer: int, stride: int, project: bool, *, activated: bool
    ) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *([] if activated else [nn.BatchNorm2d(features), nn.ReLU()]),
            nn.Conv2d(features, inner, 1, stride),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, outer, 1),
        )
        self.shortcut = nn.Conv2d(features, outer, 1, stride) if project else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Map features [N, features, H, W] to [N, outer, H / stride, W / stride]."""
        total: Tensor = self.shortcut(images) + self.residual(images)
        return total


def _he_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
