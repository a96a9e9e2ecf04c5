"""Soft aggregation, by hand."""

from __future__ import annotations

import pytest
import torch

from maskcast.methods.lwl.aggregation import aggregate_logits, merge_maps
from maskcast.methods.lwl.crop import OUTSIDE_LOGIT, Area


def test_two_equal_claims_share_a_pixel() -> None:
    # odds: background 0.25 / 0.75 = 1/3, objects 1 and 1; over their sum: 1/7, 3/7, 3/7
    expected = torch.tensor([1.0, 3.0, 3.0]).view(3, 1, 1) / 7
    torch.testing.assert_close(aggregate_logits(torch.zeros(2, 1, 1)), expected)


def test_one_object_shares_with_what_it_leaves() -> None:
    # odds p / (1 - p) for the object and (1 - p) / p for the background: p² against (1 - p)²
    p = torch.tensor([[0.1, 0.4], [0.5, 0.9]])
    found = aggregate_logits(torch.logit(p)[None])[1]
    torch.testing.assert_close(found, p.square() / (p.square() + (1 - p).square()))


def test_a_given_mask_owns_its_pixels_exactly() -> None:
    given = torch.tensor([[100.0, -100.0]])
    other = torch.tensor([[15.0, -15.0]])
    merged = aggregate_logits(torch.stack([given, other]))
    assert merged[1].tolist() == [[1.0, 0.0]]
    assert merged[2, 0, 0] < 1e-30
    torch.testing.assert_close(merged.sum(dim=0), torch.ones(1, 2))


def test_many_confident_claims_stay_finite() -> None:
    merged = aggregate_logits(torch.full((50, 2, 2), 100.0))
    torch.testing.assert_close(merged[1:], torch.full((50, 2, 2), 1 / 50))


def test_what_nobody_claims_is_background() -> None:
    merged = aggregate_logits(torch.full((2, 1, 1), -100.0))
    assert merged.flatten().tolist() == [1, 0, 0]


@pytest.mark.parametrize("size", [(64, 160), (40, 216), (20, 32)], ids=str)
@pytest.mark.parametrize("present", [None, torch.tensor([True, False, True])], ids=["all", "two"])
def test_only_the_areas_are_merged_with_the_bits_of_the_whole(size, present) -> None:
    draw = torch.Generator().manual_seed(0)
    areas = [Area(3, 5, 11, 29), Area(0, 0, 0, 0), Area(size[0] - 9, 20, size[0], size[1])]
    maps = [torch.full(size, OUTSIDE_LOGIT) for _ in areas]
    for logits, (top, left, bottom, right) in zip(maps, areas, strict=True):
        logits[top:bottom, left:right] = 5 * torch.randn(bottom - top, right - left, generator=draw)
    whole = torch.stack(maps)
    if present is None:
        expected = aggregate_logits(whole)[1:]
    else:
        kept = present[:, None, None]
        expected = aggregate_logits(torch.where(kept, whole, OUTSIDE_LOGIT))[1:] * kept
    assert torch.equal(merge_maps(maps, areas, present), expected)
    everywhere: list[Area | None] = [None] * 3
    assert torch.equal(merge_maps(maps, everywhere, present), expected)
