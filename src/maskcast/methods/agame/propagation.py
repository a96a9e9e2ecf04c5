"""Mask propagation: locate the object from its previous mask, its first frame and its first mask.

    stride16        frames × features × height × width     one frame may go with all objects
    masks           objects × 2 × height × width           background and target, 0..1
    result D        objects × channels × height × width

The first layer is a 1×1 convolution of [F16 of this frame, F16 of the object's first frame,
previous mask, first mask]. It is linear, so each input is multiplied with its own columns of the
weight. The part of this frame is computed once for all objects, and that of the first frame once
per object.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.methods.agame.config import PropagationConfig

DILATIONS = (1, 3, 6)


class MaskPropagation(nn.Module):
    """Predicts where the object is from its previous mask and first frame (map: propagation).

    Args:
        config: width, and whether the first frame is an input.
        feature_channels: channels of the stride-16 features.
    """

    def __init__(self, config: PropagationConfig, feature_channels: int) -> None:
        super().__init__()
        width = config.channels
        self.parts = (feature_channels, feature_channels, 2, 2)
        if not config.first_frame:
            self.parts = (feature_channels, 0, 2, 0)
        self.compare = nn.Conv2d(sum(self.parts), width, 1)
        self.pyramid = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            for dilation in DILATIONS
        )
        self.gather = nn.Conv2d(width * len(DILATIONS), width, 3, padding=1)

    def use_dtype(self, dtype: torch.dtype) -> None:
        """Compute in ``dtype``, except for the first layer, whose result is kept for all frames."""
        self.pyramid.to(dtype)
        self.gather.to(dtype)

    def part_of_first_frame(
        self,
        stride16: Float[Tensor, "frames features height width"],
        first_mask: Float[Tensor, "objects 2 height width"],
    ) -> Float[Tensor, "objects channels height width"]:
        """Return the part of the first layer from an object's first frame and mask, with bias."""
        _, of_first, _, of_first_mask = self._columns()
        bias = self.compare.bias
        assert bias is not None
        if not of_first.shape[1]:
            return bias[:, None, None].expand(len(first_mask), -1, *first_mask.shape[-2:])
        return (
            _linear(stride16, of_first) + _linear(first_mask, of_first_mask) + bias[:, None, None]
        )

    def part_of_this_frame(
        self, stride16: Float[Tensor, "frames features height width"]
    ) -> Float[Tensor, "frames channels height width"]:
        """Return the part of the first layer from the features of the frame to segment."""
        return _linear(stride16, self._columns()[0])

    def first_layer(
        self,
        of_this_frame: Float[Tensor, "frames channels height width"],
        of_first_frame: Float[Tensor, "objects channels height width"],
        previous_mask: Float[Tensor, "objects 2 height width"],
    ) -> Float[Tensor, "objects channels height width"]:
        """Add the parts of the first layer and apply ReLU."""
        of_previous_mask = _linear(previous_mask, self._columns()[2])
        return (of_this_frame + of_first_frame + of_previous_mask).relu_()

    def forward(
        self,
        of_this_frame: Float[Tensor, "frames channels height width"],
        of_first_frame: Float[Tensor, "objects channels height width"],
        previous_mask: Float[Tensor, "objects 2 height width"],
    ) -> Float[Tensor, "objects channels height width"]:
        """Return D from the parts of the first layer and the mask of the previous frame."""
        compared = self.first_layer(of_this_frame, of_first_frame, previous_mask)
        compared = compared.to(self.gather.weight.dtype)
        seen = torch.cat([layer(compared) for layer in self.pyramid], dim=1).relu_()
        result: Tensor = self.gather(seen).relu_()
        return result

    def _columns(self) -> tuple[Tensor, ...]:
        return torch.split(self.compare.weight, list(self.parts), dim=1)


def _linear(maps: Tensor, weight: Tensor) -> Tensor:
    """Apply a 1×1 convolution without bias, in the precision of the weight."""
    return functional.conv2d(maps.to(weight.dtype), weight)
