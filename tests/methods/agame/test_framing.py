"""Padding, pooling and colours."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from maskcast.methods.agame.framing import (
    Padding,
    indicator,
    normalise,
    shrink_frame,
    shrink_mask,
    to_grid,
    working_size,
)


@pytest.mark.parametrize(
    ("size", "before", "after"), [(854, 5, 5), (117, 6, 5), (90, 3, 3), (864, 0, 0), (1279, 1, 0)]
)
def test_the_odd_pixel_goes_before(size: int, before: int, after: int) -> None:
    row = torch.arange(float(size))[None, None, None].expand(1, 1, 16, size)
    expected = functional.pad(row, (before, after, 0, 0), mode="reflect")
    assert Padding(16, size).pad(row).equal(expected)


def test_rows_are_padded_like_columns_and_cropped_back() -> None:
    frame = torch.rand(3, 37, 50)
    padding = Padding(37, 50)
    padded = padding.pad(frame)
    assert padded.shape == (3, 48, 64)
    assert padded.equal(functional.pad(frame[None], (7, 7, 6, 5), mode="reflect")[0])
    assert padding.crop(padded).equal(frame)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_frames_narrower_than_their_padding_are_mirrored_again(size: int) -> None:
    row = torch.arange(float(size))[None]
    padded = Padding(1, size).pad(row)
    assert padded.shape == (16, 16)
    assert Padding(1, size).crop(padded).equal(row)
    if size > 1:  # neighbours stay neighbours
        assert (padded[:, 1:] - padded[:, :-1]).abs().eq(1).all()


def test_the_grid_is_the_share_of_each_cell() -> None:
    mask = torch.zeros(1, 32, 16, dtype=torch.bool)
    mask[0, :4] = True  # a quarter of the first cell
    assert to_grid(indicator(mask)).flatten().tolist() == [0.75, 1.0, 0.25, 0.0]


def test_the_mean_colour_becomes_zero() -> None:
    frame = torch.tensor([0.485, 0.456 + 0.224, 0.406]).view(3, 1, 1)
    torch.testing.assert_close(normalise(frame).flatten(), torch.tensor([0.0, 1.0, 0.0]))


@pytest.mark.parametrize(
    ("size", "shorter_side", "expected"),
    [
        ((480, 854), None, (480, 854)),
        ((480, 854), 240, (240, 427)),
        ((854, 480), 240, (427, 240)),
        ((480, 854), 600, (480, 854)),  # never enlarged
        ((1, 1000), 1, (1, 1000)),
    ],
)
def test_large_frames_have_a_working_size(
    size: tuple[int, int], shorter_side: int | None, expected: tuple[int, int]
) -> None:
    assert working_size(size, shorter_side) == expected


def test_a_frame_is_averaged_where_it_shrinks() -> None:
    stripes = (torch.arange(32) % 2).float().expand(3, 32, 32)
    inner = shrink_frame(stripes, (8, 8))[:, 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5))


def test_a_mask_keeps_the_pixels_that_it_fills_by_more_than_half() -> None:
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[:2, :2], mask[:2, 2] = True, True  # all of the first pixel, half of the second
    assert shrink_mask(mask, (2, 4)).tolist() == [[True, False, False, False], [False] * 4]
    mask[:2, :2] = False
    assert shrink_mask(mask, (2, 4)).tolist() == [[False, True, False, False], [False] * 4]
