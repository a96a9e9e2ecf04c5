"""The baselines do what their names say, as segmenters like any other."""

from __future__ import annotations

import torch

from maskcast.core.segmenter import VideoSegmenter, segment_video
from maskcast.core.types import Box
from maskcast.evaluation.baselines import BASELINES, copy_first, shift_first

SIZE = (40, 64)


def scene(top: int, left: int) -> torch.Tensor:
    """A patterned square on a dim, patterned ground."""
    random = torch.Generator().manual_seed(0)
    frame = 0.2 * torch.rand((3, *SIZE), generator=random)
    frame[:, top : top + 8, left : left + 8] = 0.5 + 0.5 * torch.rand((3, 8, 8), generator=random)
    return frame


def mask(top: int, left: int) -> torch.Tensor:
    marked = torch.zeros(SIZE, dtype=torch.bool)
    marked[top : top + 8, left : left + 8] = True
    return marked


def test_they_are_segmenters():
    assert all(isinstance(make(), VideoSegmenter) for make in BASELINES.values())


def test_copy_first_stays():
    frames = [scene(10, 10), scene(13, 14), scene(16, 18)]
    found = list(segment_video(copy_first(), frames, {0: {5: mask(10, 10)}}))
    assert all(torch.equal(each.label_map() == 5, mask(10, 10)) for each in found)


def test_shift_first_follows_a_patterned_square():
    places = [(10, 10), (13, 14), (16, 18), (12, 20)]
    frames = [scene(*place) for place in places]
    found = list(segment_video(shift_first(), frames, {0: {5: mask(10, 10)}}))
    for each, place in zip(found, places, strict=True):
        assert torch.equal(each.label_map() == 5, mask(*place))


def test_shift_first_follows_out_of_the_frame():
    """Half of the square has left; the half in view is still found."""
    frames = [scene(10, 52), scene(10, 56)]
    moved = torch.roll(scene(10, 52), 8, dims=2)
    moved[:, :, :8] = 0.1
    found = list(
        segment_video(shift_first(), [frames[0], frames[1], moved], {0: {1: mask(10, 52)}})
    )
    assert torch.equal(found[2].label_map() == 1, mask(10, 60))


def test_shift_first_compares_the_pixels_in_view_by_their_mean():
    """The square fades; at the border, half out of view, fewer pixels would differ, but by more."""
    bright, faded = torch.full((2, 3, *SIZE), 0.3)
    bright[:, 10:18, 52:60], faded[:, 10:18, 50:58] = 0.5, 0.35
    found = list(segment_video(shift_first(), [bright, faded], {0: {1: mask(10, 52)}}))
    assert torch.equal(found[1].label_map() == 1, mask(10, 50))


def test_objects_may_come_later_be_corrected_and_go():
    segmenter = copy_first()
    state, found = segmenter.step(segmenter.start(), scene(1, 1))
    assert found.ids == ()
    state, found = segmenter.step(state, scene(1, 1), {2: mask(1, 1), 1: mask(20, 20)})
    assert found.ids == (1, 2)
    state, found = segmenter.step(state, scene(1, 1), {2: Box(x=30, y=2, width=4, height=2)})
    assert int((found.label_map() == 2).sum()) == 5 * 3  # the box's last pixels included
    state = segmenter.remove_objects(state, [1])
    assert segmenter.step(state, scene(1, 1))[1].ids == (2,)
