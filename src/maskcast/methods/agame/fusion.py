"""Fusion: appearance and propagation become one encoding E, which gives a coarse mask.

scores        objects × components × height × width   S
propagated    objects × channels × height × width     D
E             objects × channels × height × width
coarse        objects × 2 × height × width            logits of background and target
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.methods.agame.config import FusionConfig


class Fusion(nn.Module):
    """Two convolutions over [S, D], and the coarse predictor (spec 6).

    Args:
        config: widths and the predictor's kernel.
        input_channels: those of S and D together; a variant may lack one of them.
    """

    def __init__(self, config: FusionConfig, input_channels: int) -> None:
        super().__init__()
        kernel = config.coarse_kernel
        self.first = nn.Conv2d(input_channels, config.hidden_channels, 3, padding=1)
        self.second = nn.Conv2d(config.hidden_channels, config.channels, 3, padding=1)
        self.coarse = nn.Conv2d(config.channels, 2, kernel, padding=kernel // 2)

    def forward(
        self,
        scores: Float[Tensor, "objects components height width"] | None,
        propagated: Float[Tensor, "objects channels height width"] | None,
    ) -> tuple[
        Float[Tensor, "objects encoding height width"], Float[Tensor, "objects 2 height width"]
    ]:
        """Return the encoding E and the coarse logits C."""
        present = [part for part in (scores, propagated) if part is not None]
        fused = self.first(torch.cat(present, dim=1)).relu_()
        encoding = self.second(fused).relu_()
        return encoding, self.coarse(encoding)
