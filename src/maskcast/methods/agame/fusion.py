"""Fusion of appearance and propagation into one encoding E, from which a coarse mask is predicted.

scores        objects × components × height × width   S
propagated    objects × channels × height × width     D
E             objects × channels × height × width
coarse        objects × 2 × height × width            logits of background and target
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.methods.agame.config import FusionConfig


class Fusion(nn.Module):
    """Two convolutions over [S, D], and the coarse predictor (map: fusion).

    The scores always keep their precision, because they are large numbers with small but important
    differences.

    Args:
        config: widths and kernel size.
        score_channels: channels of S; 0 in the variant without S.
        propagated_channels: channels of D; 0 in the variant without D.
    """

    def __init__(self, config: FusionConfig, score_channels: int, propagated_channels: int) -> None:
        super().__init__()
        kernel = config.coarse_kernel
        self.parts = (score_channels, propagated_channels)
        self.first = nn.Conv2d(sum(self.parts), config.hidden_channels, 3, padding=1)
        self.second = nn.Conv2d(config.hidden_channels, config.channels, 3, padding=1)
        self.coarse = nn.Conv2d(config.channels, 2, kernel, padding=kernel // 2)

    def use_dtype(self, dtype: torch.dtype) -> None:
        """Compute in ``dtype``, except for the layer that reads the scores, and the logits."""
        self.second.to(dtype)

    def forward(
        self,
        scores: Float[Tensor, "objects components height width"] | None,
        propagated: Float[Tensor, "objects channels height width"] | None,
    ) -> tuple[
        Float[Tensor, "objects encoding height width"], Float[Tensor, "objects 2 height width"]
    ]:
        """Return the encoding E and the coarse logits C."""
        hidden = self._first(scores, propagated).relu_()
        encoding = self.second(hidden.to(self.second.weight.dtype)).relu_()
        return encoding, self.coarse(encoding.to(self.coarse.weight.dtype))

    def _first(self, scores: Tensor | None, propagated: Tensor | None) -> Tensor:
        """Convolve S and D separately and add the results, which equals convolving [S, D]."""
        of_scores, of_propagated = torch.split(self.first.weight, list(self.parts), dim=1)
        assert self.first.bias is not None
        hidden = self.first.bias[:, None, None]
        if propagated is not None:
            weight = of_propagated.to(propagated.dtype)
            hidden = hidden + functional.conv2d(propagated, weight, padding=1)
        if scores is not None:
            with torch.autocast(scores.device.type, enabled=False):
                hidden = hidden + functional.conv2d(scores, of_scores, padding=1)
        return hidden
