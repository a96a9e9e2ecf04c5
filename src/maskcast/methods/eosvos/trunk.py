"""The trunk, a ResNet or an EfficientNet-Lite, and the feature pyramid on top of it.

frames    images × 3 × height × width
maps      by level name, images × channels × rows × columns   strides 4, 8, 16, 32 and 64
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import FrozenBatchNorm2d

from maskcast.methods.eosvos.config import MaskRCNNConfig
from maskcast.methods.eosvos.mask_rcnn import Features
from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk

BLOCKS: Mapping[str, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    "resnet10": (BasicBlock, (1, 1, 1, 1)),
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
LITE_PYRAMID_GROUPS = 16
"""Groups of the GroupNorms in the pyramid above an EfficientNet-Lite, whose stages differ tenfold
in scale: they end without normalised activations."""


def build_pyramid(config: MaskRCNNConfig) -> BackboneWithFPN:
    """Return the trunk with its pyramid; the first parameters come from the global generator."""
    is_lite = config.trunk == "efficientnet-lite0"
    trunk, channels = _lite() if is_lite else _resnet(config)
    levels = {f"layer{stage}": str(stage - 1) for stage in range(1, 5)}
    norm = partial(nn.GroupNorm, LITE_PYRAMID_GROUPS) if is_lite else None
    return BackboneWithFPN(trunk, levels, channels, config.pyramid_channels, norm_layer=norm)


def pyramid_maps(
    backbone: BackboneWithFPN,
    frames: Float[Tensor, "images 3 height width"],
    *,
    recompute: bool = False,
) -> Features:
    """Return the pyramid maps; ``recompute`` stores only the outputs of the trunk's stages."""
    features: Features
    if not (recompute and torch.is_grad_enabled()):
        features = backbone(frames)
        return features
    trunk, x, ends = backbone.body, frames, {}
    for name, part in trunk.items():
        if name in trunk.return_layers:
            x = checkpoint(part, x, use_reentrant=False)
            ends[trunk.return_layers[name]] = x
        else:
            x = part(x)
    features = backbone.fpn(ends)
    return features


def _lite() -> tuple[nn.Module, list[int]]:
    """Return an EfficientNet-Lite0 and the channels of its stages; its BatchNorm is frozen."""
    lite = EfficientNetLiteTrunk(padding="symmetric")
    for parent in list(lite.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(child.num_features, eps=child.eps))
    parts = dict(lite.named_children())
    stem = {"conv1": parts.pop("conv1"), "bn1": parts.pop("bn1"), "relu": nn.ReLU6()}
    return nn.Sequential(OrderedDict(stem | parts)), list(lite.channels)


def _resnet(config: MaskRCNNConfig) -> tuple[ResNet, list[int]]:
    block, layers = BLOCKS[config.trunk]
    norm = (
        partial(nn.GroupNorm, config.norm_groups)
        if config.norm == "group"
        else partial(FrozenBatchNorm2d, eps=0.0)
    )
    trunk = ResNet(block, layers, norm_layer=norm)
    if config.trunk_width != 64:
        _rescale(trunk, block, layers, config.trunk_width)
    return trunk, [config.trunk_width * block.expansion * 2**stage for stage in range(4)]


def _rescale(
    trunk: ResNet, block: type[BasicBlock | Bottleneck], layers: Sequence[int], width: int
) -> None:
    """Change the number of channels of stem and stages, which torchvision fixes to 64, 128, …"""
    trunk.inplanes = width
    trunk.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    trunk.bn1 = trunk._norm_layer(width)
    for stage, count in enumerate(layers):
        made = trunk._make_layer(block, width * 2**stage, count, stride=1 if stage == 0 else 2)
        setattr(trunk, f"layer{stage + 1}", made)
