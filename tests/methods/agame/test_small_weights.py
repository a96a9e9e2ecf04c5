"""The weights of A-GAME in the package."""

from __future__ import annotations

import torch

from maskcast.methods.catalogue import choose_weights
from maskcast.methods.spec import build


def test_they_segment_a_frame() -> None:
    weights = choose_weights(None, "agame")
    assert weights.name == "agame-small"
    segmenter = build(weights)
    mask = torch.zeros(64, 96, dtype=torch.bool)
    mask[20:44, 30:60] = True
    state, given = segmenter.step(segmenter.start(), torch.rand(3, 64, 96), {1: mask})
    assert given.probs[0].equal(mask.float())
    _, masks = segmenter.step(state, torch.rand(3, 64, 96))
    assert masks.ids == (1,) and masks.probs.shape == (1, 64, 96)
    assert masks.probs.isfinite().all()
