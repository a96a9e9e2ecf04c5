"""Crops by hand: where they lie, what they show, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.core.types import Box
from maskcast.methods.lwl.config import CropConfig
from maskcast.methods.lwl.crop import (
    OUTSIDE_LOGIT,
    Extent,
    Patch,
    Sighting,
    View,
    cut_image,
    cut_mask,
    find,
    first_patch,
    first_view,
    follow,
    half_stride,
    paste,
    pasted_part,
    patch_at,
    shared_view,
    view_patch,
)

CONFIG = CropConfig(size=(40, 60))


def test_the_first_view_shows_five_times_the_object() -> None:
    view = first_view(Box(10.0, 20.0, 8.0, 2.0), CONFIG)
    assert view.position == (20.5, 13.5)
    sides = view.scale * 40, view.scale * 60
    assert sides[0] * sides[1] == pytest.approx(25 * 16)
    assert view.size == pytest.approx((2, 8))


def test_the_scale_follows_the_object_within_limits() -> None:
    view = View((5.0, 5.0), 2.0, (4.0, 4.0))
    grown = follow(view, Sighting((7.0, 8.0), (100.0, 100.0)), CONFIG)
    assert (grown.position, grown.scale) == ((7.0, 8.0), pytest.approx(2.2))
    shrunk = follow(view, Sighting((7.0, 8.0), (0.0, 3.0)), CONFIG)
    assert shrunk.scale == pytest.approx(1.9)
    seen = follow(view, Sighting((7.0, 8.0), (8.0, 8.5)), CONFIG)
    assert seen.scale == pytest.approx((8 * 8.5 / 16) ** 0.5)
    assert follow(view, None, CONFIG) == view


def test_mass_and_variance_say_where_an_object_is() -> None:
    probs = torch.zeros(2, 20, 30)
    probs[0, 5:9, 10:20] = 0.5  # rows 5..8, columns 10..19
    (seen, lost) = find(probs, minimum_mass=10.0)
    assert lost is None and seen is not None
    assert seen.position == pytest.approx((6.5, 14.5))
    assert seen.size == pytest.approx((4 * (15 / 12) ** 0.5, 4 * (99 / 12) ** 0.5))


def test_a_patch_of_the_frame_itself_is_the_frame() -> None:
    patch = patch_at((40, 60), (19.5, 29.5), (40.0, 60.0), (40, 60), inside=True)
    assert patch == Patch((40, 60), 1, (0, 0), (0, 0), (40, 60))
    frame = torch.rand(3, 40, 60)
    assert torch.equal(cut_image(frame, patch), frame)


def test_a_patch_moves_inside_and_is_centred_where_it_is_longer_than_the_frame() -> None:
    patch = patch_at((50, 40), (1.0, 2.0), (20.0, 30.0), (20, 30), inside=True)
    assert (patch.start, patch.stop) == ((0, 0), (20, 30))
    large = patch_at((20, 90), (3.0, 50.0), (40.0, 120.0), (40, 60), inside=True)
    # shrunk by 4/3, until the columns fit; the rows, 30, stick out by 5 on both sides
    assert (large.start, large.stop) == ((-5, 0), (25, 90))
    beyond = patch_at((20, 21), (3.0, 3.0), (20.0, 30.0), (40, 60), inside=True)
    assert (beyond.start[0], beyond.stop[0]) == (0, 20)
    assert (beyond.start[1], beyond.stop[1]) == (-4, 26)


def test_beyond_the_frame_the_image_repeats_its_border_and_the_mask_is_empty() -> None:
    patch = patch_at((4, 4), (0.0, 0.0), (4.0, 6.0), (4, 6), inside=False)
    assert (patch.start, patch.stop) == ((-1, -2), (3, 4))
    frame = torch.arange(16.0).view(1, 4, 4)
    rows, columns = [0, 0, 1, 2], [0, 0, 0, 1, 2, 3]
    assert torch.equal(cut_image(frame, patch), frame[:, rows][:, :, columns])
    mask = cut_mask(torch.ones(4, 4), patch)
    assert mask[0].sum() == 0 and mask[:, :2].sum() == 0 and mask[1:, 2:].all()


def test_a_large_patch_reads_every_second_pixel() -> None:
    patch = patch_at((200, 200), (101.0, 100.0), (90.0, 130.0), (40, 60), inside=True)
    assert (patch.step, patch.offset) == (2, (1, 0))
    assert patch.extent == ((56.0, 36.0), (146.0, 166.0))


def test_paste_is_the_way_back_but_for_the_published_half_pixel() -> None:
    patch = patch_at((100, 120), (50.0, 60.0), (40.0, 60.0), (40, 60), inside=True)
    logits = torch.randn(40, 60)
    whole = paste(logits, patch.extent, (100, 120))
    (top, left), (bottom, right) = ([int(n) for n in corner] for corner in patch.extent)
    assert torch.equal(whole[top - 1 : bottom - 1, left - 1 : right - 1], logits)
    assert (whole == -100).sum() == 100 * 120 - 40 * 60


def test_exact_paste_is_the_way_back() -> None:
    patch = patch_at((100, 120), (50.0, 60.0), (40.0, 60.0), (40, 60), inside=True)
    logits = torch.randn(40, 60)
    whole = paste(logits, patch.extent, (100, 120), exact=True)
    assert torch.equal(cut_image(whole[None], patch)[0], logits)
    stretched = paste(torch.ones(4, 6), ((1.0, -2.0), (7.0, 3.0)), (9, 9), exact=True)
    assert (stretched[1:7, :3] == 1).all() and (stretched == 1).sum() == 18


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "extent",
    [((1.0, 2.0), (7.0, 9.0)), ((-2.0, 5.0), (2.0, 11.0)), ((50.0, 50.0), (54.0, 56.0))],
    ids=["inside", "partly", "outside"],
)
def test_the_pasted_part_is_where_paste_writes(extent: Extent, exact: bool) -> None:
    whole = paste(torch.ones(4, 6), extent, (9, 12), exact=exact)
    top, left, bottom, right = pasted_part((4, 6), extent, (9, 12), exact=exact)
    inside = torch.zeros(9, 12, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    assert torch.equal(whole > OUTSIDE_LOGIT, inside)


def test_paste_cuts_off_what_leaves_the_frame() -> None:
    whole = paste(torch.ones(4, 6), ((-2.0, 5.0), (2.0, 11.0)), (5, 8))
    assert (whole[:2, 4:] == 1).all() and (whole == 1).sum() == 8
    outside = paste(torch.ones(4, 6), ((50.0, 50.0), (54.0, 56.0)), (5, 8))
    assert (outside == -100).all()


def test_half_a_stride_where_features_and_filter_do_not_share_a_centre() -> None:
    assert half_stride((480, 832), (30, 52), 3) == (8.0, 8.0)
    assert half_stride((240, 416), (15, 26), 3) == (0.0, 8.0)


def test_a_shared_view_shows_what_all_show() -> None:
    views = [View((10.0, 10.0), 0.5, (1.0, 1.0)), View((30.0, 50.0), 1.0, (1.0, 1.0))]
    shared = shared_view(views, CONFIG)
    assert shared.position == pytest.approx((25.0, 37.5))
    assert shared.scale == pytest.approx(max(50 / 40, 85 / 60))
    alone = shared_view(views[:1], CONFIG)
    assert (alone.position, alone.scale) == (views[0].position, views[0].scale)


@pytest.mark.parametrize("frame_size", [(1, 1), (1, 50), (7, 500), (60, 60)])
@pytest.mark.parametrize("box", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 500.0, 500.0)])
def test_any_frame_and_any_box_give_a_crop(
    frame_size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    view = first_view(Box(*box), CONFIG)
    frame, mask = torch.rand(3, *frame_size), torch.rand(frame_size)
    first = first_patch(view, frame_size, CONFIG)
    assert cut_image(frame, first).shape == (3, 40, 60)
    assert cut_mask(mask, first).shape == (40, 60)
    later = view_patch(view, frame_size, CONFIG, (8.0, 8.0))
    crop = cut_image(frame, later)
    assert crop.shape == (3, 40, 60) and crop.isfinite().all()
    assert cut_mask(mask, later).shape == (40, 60)
    assert paste(crop[0], later.extent, frame_size).isfinite().all()


def test_the_first_crop_is_centred_on_its_object() -> None:
    frame = torch.zeros(1, 200, 300)
    frame[0, 100:104, 150:156] = 1
    box = Box(150.0, 100.0, 6.0, 4.0)
    config = replace(CONFIG, size=(48, 72))
    crop = cut_image(frame, first_patch(first_view(box, config), (200, 300), config))[0]
    rows, columns = (crop.sum(dim=axis) for axis in (1, 0))
    centre = [float((torch.arange(len(m)) * m).sum() / m.sum()) for m in (rows, columns)]
    scale = first_view(box, config).scale
    assert centre == pytest.approx([23.5, 35.5], abs=1 / scale)
