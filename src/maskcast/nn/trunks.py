"""The trunks a network can be built on: made by name, filled from files of several origins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.nn.efficientnet_lite import (
    STAGES,
    EfficientNetLiteTrunk,
    LiteName,
    Padding,
    is_published_lite,
)
from maskcast.nn.resnet import Depth, ResNetTrunk, StrideIn, Taps

TrunkName: TypeAlias = Depth | LiteName
Trunk: TypeAlias = ResNetTrunk | EfficientNetLiteTrunk


def build_trunk(
    name: TrunkName, *, stride_in: StrideIn = "3x3", padding: Padding = "same"
) -> Trunk:
    """Return a trunk with random weights.

    Args:
        name: which one.
        stride_in: of a ResNet; see ``ResNetTrunk``.
        padding: of an EfficientNet-Lite; see ``EfficientNetLiteTrunk``.
    """
    match name:
        case "efficientnet-lite0" | "efficientnet-lite2":
            return EfficientNetLiteTrunk(name, padding=padding)
        case _:
            return ResNetTrunk(name, stride_in=stride_in)


def is_lite(name: TrunkName) -> bool:
    """Whether this is an EfficientNet-Lite, which takes RGB with mean 0.5 and deviation 0.5."""
    return name in STAGES


def dead_channels(taps: Taps) -> dict[str, float]:
    """Return the share of channels of each level that never respond, in 0..1.

    A channel is dead if it has the same value everywhere in all images: 0 after a ReLU, a bias
    after the projection of an EfficientNet-Lite. Pictures that differ should be given.
    """
    return {
        level: float((tap.amax(dim=(0, 2, 3)) == tap.amin(dim=(0, 2, 3))).float().mean())
        for level, tap in taps._asdict().items()
    }


def load_trunk(trunk: Trunk, tensors: Mapping[str, Tensor]) -> None:
    """Fill a trunk from a state dict; half-precision tensors are widened.

    Args:
        trunk: the trunk to fill.
        tensors: a torchvision state dict or a maskrcnn-benchmark checkpoint for a ResNet, a state
            dict of ``efficientnet_lite_pytorch`` for an EfficientNet-Lite, or the weights of one
            of our networks with such a trunk. What does not belong to the trunk is left out:
            classifiers and heads, and all that is outside ``backbone.body`` or ``trunk``.

    Raises:
        WeightsError: a tensor is missing, left over, or has another shape.
    """
    found = dict(_trunk_entries(trunk, tensors))
    expected = trunk.state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            found[name] = tensor
    missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or unknown:
        raise WeightsError.mismatch(
            "the weights are of another trunk", missing=missing, unknown=unknown
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"the weights are of another trunk: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}"
            )
    trunk.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in found.items()})


def _trunk_entries(trunk: Trunk, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the trunk's tensors under the trunk's own names, from any kind of file."""
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
        prefix, found, rest = name.partition("backbone.body.")
        if found and prefix in {"", "module."}:
            yield rest.removeprefix("stem."), tensor
