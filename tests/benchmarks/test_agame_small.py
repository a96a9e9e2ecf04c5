"""The weights from which the next training of agame-small starts load with today's code."""

from __future__ import annotations

from pathlib import Path

import torch

from maskcast.methods.catalogue import choose_weights
from maskcast.methods.spec import build

START = Path(__file__).parents[2] / "benchmarks" / "agame" / "agame-small-64.safetensors"


def test_the_kept_weights_segment_a_frame() -> None:
    weights = choose_weights(str(START), None)
    assert weights.method == "agame"
    segmenter = build(weights)
    mask = torch.zeros(64, 96, dtype=torch.bool)
    mask[20:44, 30:60] = True
    state, given = segmenter.step(segmenter.start(), torch.rand(3, 64, 96), {1: mask})
    assert given.probs[0].equal(mask.float())
    _, masks = segmenter.step(state, torch.rand(3, 64, 96))
    assert masks.ids == (1,) and masks.probs.shape == (1, 64, 96)
    assert masks.probs.isfinite().all()
