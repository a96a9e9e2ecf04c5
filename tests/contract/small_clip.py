"""A clip of three frames with one object, as the tiny training tasks of all methods learn it."""

from __future__ import annotations

import torch

from contract.coloured_video import frames, true_mask

SIZE = (48, 64)
VIDEO = torch.stack(frames(3, (1,), size=SIZE))
PICTURES = (255 * VIDEO).to(torch.uint8)
MASKS = torch.stack([true_mask(1, index, SIZE) for index in range(3)]).to(torch.uint8)
