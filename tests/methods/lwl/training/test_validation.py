"""What the validation of LWL counts, and how its parts become one result."""

from __future__ import annotations

import pytest
import torch

from maskcast.methods.lwl.presence import Presence
from maskcast.methods.lwl.training.validation import combined, hidden, presence_counts


def test_frames_are_counted_by_visibility() -> None:
    """Five frames of one sequence: found, lost, painted though absent, empty, unknown."""
    visible = torch.tensor([1, 1, 0, 0, -1], dtype=torch.int8)[:, None]
    logits = torch.full((5, 1, 2, 2), -1.0)
    logits[[0, 2, 4], 0, 0, 0] = 1.0
    judged = torch.tensor([2.0, 0.5, 0.5, -1.0, 9.0])[:, None]
    found = presence_counts(logits, Presence(judged, judged), visible)
    # pairs: 2 > 0.5, 2 > -1, 0.5 > -1 in order, 0.5 = 0.5 half
    assert {name: float(value) for name, value in found.items()} == {
        "absent": 2,
        "absent_painted": 1,
        "visible": 2,
        "visible_empty": 1,
        "pairs": 4,
        "pairs_ordered": 3.5,
    }
    assert "pairs" not in presence_counts(logits, None, visible)


def test_masks_of_objects_that_are_not_visible_are_hidden() -> None:
    logits = torch.full((2, 1, 2, 2), 3.0)
    judged = torch.tensor([[0.1], [-0.1]])
    found = hidden(logits, Presence(judged, judged))
    assert torch.equal(found[0], logits[0]) and bool((found[1] < 0).all())


def test_counts_are_divided_after_they_are_summed() -> None:
    real = {"J": 0.8, "lovasz": 1.0, "absent": 0.0, "absent_painted": 0.0}
    rendered = {"J_rendered": 0.4, "lovasz": 3.0, "absent": 8.0, "absent_painted": 2.0}
    again = {"J_rendered": 0.6, "lovasz": 2.0, "absent": 2.0, "absent_painted": 2.0}
    found = combined([real, rendered, again])
    assert found == pytest.approx(
        {"J": 0.8, "J_rendered": 0.5, "lovasz": 2.0, "false_masks": 0.4, "quality": 0.68}
    )
    assert next(iter(found)) == "J"


def test_a_share_of_no_frames_is_left_out() -> None:
    found = combined([{"lovasz": 1.0, "J": 0.5, "absent": 0.0, "absent_painted": 0.0}])
    assert found == {"J": 0.5, "lovasz": 1.0, "quality": 0.5}


def test_boxes_are_judged_by_their_own_j() -> None:
    assert combined([{"box_J": 0.5}, {"box_J_rendered": 1.0}])["quality"] == pytest.approx(0.7)
