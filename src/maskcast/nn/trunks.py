"""Build trunks by name, and load their weights from several file formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.core.tensors import require_tensors
from maskcast.nn.efficientnet_lite import (
    STAGES,
    EfficientNetLiteTrunk,
    LiteName,
    PaddingMode,
    is_published_lite,
)
from maskcast.nn.resnet import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Depth,
    ResNetTrunk,
    StrideIn,
    Taps,
)

TrunkName: TypeAlias = Depth | LiteName
AnyTrunk: TypeAlias = ResNetTrunk | EfficientNetLiteTrunk

BGR_MEAN = (102.9801, 115.9465, 122.7717)
"""Mean of BGR in 0..255, which Caffe-style trunks subtract."""
LITE_MEAN, LITE_DEVIATION = (0.5,) * 3, (0.5,) * 3


def build_trunk(
    name: TrunkName, *, stride_in: StrideIn = "3x3", padding: PaddingMode = "same"
) -> AnyTrunk:
    """Return a trunk with random weights.

    Args:
        name: name of the trunk.
        stride_in: for a ResNet; see ``ResNetTrunk``.
        padding: for an EfficientNet-Lite; see ``EfficientNetLiteTrunk``.
    """
    match name:
        case "efficientnet-lite0" | "efficientnet-lite2":
            return EfficientNetLiteTrunk(name, padding=padding)
        case _:
            return ResNetTrunk(name, stride_in=stride_in)


def is_lite(name: str) -> bool:
    """Return whether a trunk is an EfficientNet-Lite, whose input has mean and deviation 0.5."""
    return name in STAGES


def normalisation(name: str, *, caffe: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of a trunk's input, by channel.

    They refer to RGB in 0..1, or to BGR in 0..255 if ``caffe``.
    """
    if is_lite(name):
        return LITE_MEAN, LITE_DEVIATION
    return (BGR_MEAN, (1.0,) * 3) if caffe else (IMAGENET_MEAN, IMAGENET_DEVIATION)


class Normalisation(nn.Module):
    """Normalises RGB frames, 0..1, for a trunk; see ``normalisation``."""

    def __init__(self, name: TrunkName, *, caffe: bool) -> None:
        super().__init__()
        self.caffe = caffe
        mean, deviation = normalisation(name, caffe=caffe)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(
        self, frames: Float[Tensor, "*batch 3 height width"]
    ) -> Float[Tensor, "*batch 3 height width"]:
        if self.caffe:
            frames = frames.flip(-3) * 255  # BGR
        return (frames - self.mean) / self.deviation


def dead_channels(taps: Taps) -> dict[str, float]:
    """Return the share of dead channels of each level, 0..1.

    A channel is dead if it has the same value at all pixels of all images: 0 after a ReLU, or a
    bias after the projection of an EfficientNet-Lite. The taps should come from different images.
    """
    return {
        level: float((tap.amax(dim=(0, 2, 3)) == tap.amin(dim=(0, 2, 3))).float().mean())
        for level, tap in taps._asdict().items()
    }


def load_trunk(trunk: AnyTrunk, tensors: Mapping[str, Tensor]) -> None:
    """Load a trunk's weights from a state dict; tensors are converted to the trunk's dtypes.

    Args:
        trunk: the trunk to fill.
        tensors: a torchvision state dict or a maskrcnn-benchmark checkpoint for a ResNet, a state
            dict of ``efficientnet_lite_pytorch`` for an EfficientNet-Lite, or the weights of a
            network of this package with such a trunk. Other tensors are ignored: classifiers,
            heads, and everything outside ``backbone.body`` or ``trunk``.

    Raises:
        WeightsError: a tensor is missing, unknown, or has another shape.
    """
    entries = dict(_trunk_entries(trunk, tensors))
    expected = trunk.state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            entries[name] = tensor
    require_tensors(expected, entries, "the weights do not match the trunk")
    trunk.load_state_dict({name: t.to(expected[name].dtype) for name, t in entries.items()})


def _trunk_entries(trunk: AnyTrunk, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the trunk's tensors with the trunk's own names, from a file in any format."""
    if any("backbone.body." in name for name in tensors):
        yield from _mask_rcnn_entries(tensors)
    elif isinstance(trunk, EfficientNetLiteTrunk) and is_published_lite(tensors):
        yield from trunk.from_published(tensors)
    else:
        ours = any(name.startswith("trunk.") for name in tensors)
        for name, tensor in tensors.items():
            if ours and name.startswith("trunk."):
                yield name.removeprefix("trunk."), tensor
            elif not ours and not name.startswith("fc."):
                yield name, tensor


def _mask_rcnn_entries(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        prefix, separator, rest = name.partition("backbone.body.")
        if separator and prefix in {"", "module."}:
            yield rest.removeprefix("stem."), tensor
