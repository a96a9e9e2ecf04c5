"""Add the box of the previous frame to the proposals of the next."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.config import Propagation

REACH = 0.1
"""Maximum distance by which each side moves outwards, as a share of the box's width or height."""


def jittered_boxes(
    boxes: Float[Tensor, "boxes 4"],
    copies: int,
    padded_size: tuple[int, int],
    generator: torch.Generator,
) -> Float[Tensor, "all 4"]:
    """Return enlarged copies of each box, grouped by box.

    The paper describes random spatial transformations. The published system moves every side
    outwards by 0 to 10 % and never inwards. Copies are clamped to the padded frame, given as
    (height, width), not to the frame itself. For each box, x1, y1, x2 and y2 are drawn on the CPU
    in this order, each for all copies.
    """
    height, width = padded_size
    enlarged = []
    for box in boxes:
        x1, y1, x2, y2 = box
        draws = [torch.rand(copies, generator=generator).to(box) for _ in range(4)]
        reach_x, reach_y = REACH * (x2 - x1), REACH * (y2 - y1)
        enlarged.append(
            torch.stack(
                [
                    (x1 - reach_x * draws[0]).clamp(0, width),
                    (y1 - reach_y * draws[1]).clamp(0, height),
                    (x2 + reach_x * draws[2]).clamp(0, width),
                    (y2 + reach_y * draws[3]).clamp(0, height),
                ],
                dim=1,
            )
        )
    return torch.cat(enlarged)


def propagate(
    proposals: Float[Tensor, "proposals 4"],
    box: Float[Tensor, "4"],
    *,
    mode: Propagation,
    limit: int,
    padded_size: tuple[int, int],
    generator: torch.Generator,
) -> Float[Tensor, "all 4"]:
    """Combine the proposals of a frame with copies of the previous box (paper, section 3.3).

    Args:
        proposals, box: proposals, best first, and the box, in pixels of the resized frame.
        mode: "extend" keeps the best ``limit`` / 2 proposals and adds as many copies; "replace"
            returns ``limit`` copies.
        limit: number of proposals per frame.
        padded_size, generator: see ``jittered_boxes``.
    """
    if mode == "replace":
        return jittered_boxes(box[None], limit, padded_size, generator)
    if mode != "extend":
        raise ConfigError(f"propagation must be extend or replace to add boxes, got {mode!r}")
    half = limit // 2
    return torch.cat([proposals[:half], jittered_boxes(box[None], half, padded_size, generator)])
