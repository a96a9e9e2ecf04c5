"""The upsampling path, which refines the encoding E with finer features of the frame.

    stride8, stride4   frames × features × height/S × width/S   one frame may go with all objects
    encoding E         objects × channels × height/16 × width/16
    fine logits Z      objects × 2 × height × width             background and target

Each level convolves [lateral features, upsampled map]. The convolution is linear before its ReLU,
so the part over the lateral features is computed once for all objects.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.nn.resize import resize_bilinear


class Refinement(nn.Module):
    """One level, which merges lateral features and a coarser map at the lateral resolution."""

    def __init__(self, feature_channels: int, coarse_channels: int, channels: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(feature_channels, channels, 1)
        self.blend = nn.Conv2d(channels + coarse_channels, channels, 3, padding=1)

    def forward(
        self,
        features: Float[Tensor, "frames features height width"],
        coarse: Float[Tensor, "objects coarse coarse_height coarse_width"],
    ) -> Float[Tensor, "objects channels height width"]:
        """Return ReLU(blend([ReLU(lateral), upsampled coarse map]))."""
        lateral = self.lateral(features).relu_()
        height, width = features.shape[-2:]
        enlarged = resize_bilinear(coarse, (height, width))
        widths = [lateral.shape[1], coarse.shape[1]]
        of_lateral, of_coarse = torch.split(self.blend.weight, widths, dim=1)
        shared = functional.conv2d(lateral, of_lateral, self.blend.bias, padding=1)
        from_coarse = functional.conv2d(enlarged, of_coarse, padding=1)
        return (from_coarse + shared).relu_()


class Decoder(nn.Module):
    """Upsamples the encoding at stride 16 to logits at every pixel (map: decoder)."""

    def __init__(
        self, stride4_channels: int, stride8_channels: int, encoding_channels: int, channels: int
    ) -> None:
        super().__init__()
        self.stride8 = Refinement(stride8_channels, encoding_channels, channels)
        self.stride4 = Refinement(stride4_channels, channels, channels)
        self.fine = nn.Conv2d(channels, 2, 3, padding=1)

    def use_dtype(self, dtype: torch.dtype) -> None:
        """Compute in ``dtype``, except for the logits, whose small differences decide labels."""
        self.stride8.to(dtype)
        self.stride4.to(dtype)

    def forward(
        self,
        encoding: Float[Tensor, "objects encoding height16 width16"],
        stride8: Float[Tensor, "frames channels8 height8 width8"],
        stride4: Float[Tensor, "frames channels4 height4 width4"],
    ) -> Float[Tensor, "objects 2 height width"]:
        """Return the fine logits Z, at four times the size of ``stride4``."""
        refined = self.stride4(stride4, self.stride8(stride8, encoding))
        height, width = stride4.shape[-2:]
        logits = self.fine(refined.to(self.fine.weight.dtype))
        return resize_bilinear(logits, (4 * height, 4 * width))
