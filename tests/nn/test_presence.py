"""Presence on one scale, and the confidence of masks."""

from __future__ import annotations

import pytest
import torch

from maskcast.nn.presence import mean_confidence, presence_from


def test_presence_is_one_half_at_the_threshold():
    confidence = torch.tensor([0, 0.4, 0.8, 0.9, 1, 0.4, torch.nan], dtype=torch.float64)
    presence = presence_from(confidence, [0.8] * 5 + [0.2, 0.8])
    # at the last but one: 0.5 + 0.5 · 0.2 / 0.8
    expected = [0, 0.25, 0.5, 0.75, 1, 0.625, float("nan")]
    assert presence.tolist() == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_confidence_is_the_mean_probability_inside_a_mask():
    probs = torch.tensor([[[0.9, 0.6], [0.5, 0.1]], [[0.5, 0.2], [0.0, 0.3]]])
    torch.testing.assert_close(mean_confidence(probs), torch.tensor([0.75, 0.0]))
