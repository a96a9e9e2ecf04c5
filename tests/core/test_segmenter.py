"""The loop over frames: streams, goes on from any state, refuses what no method could follow."""

from __future__ import annotations

import inspect
import threading

import numpy as np
import pytest
import torch

from contract.coloured_video import frames, true_mask
from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.errors import (
    DeviceMemoryError,
    FrameError,
    MaskShapeError,
    PromptError,
    UsageError,
)
from maskcast.core.input_checks import check_frame_indices, check_prompts, checked_prompts
from maskcast.core.segmenter import (
    SearchesNewShots,
    VideoSegmenter,
    segment_steps,
    segment_video,
)
from maskcast.core.types import ABSENT, Box


@pytest.fixture
def tracker() -> ColourTracker:
    return ColourTracker(ColourConfig(), torch.zeros(()))


PROMPTS = {0: {1: true_mask(1, 0)}, 3: {2: true_mask(2, 3)}}


def test_the_stand_in_is_a_segmenter_and_follows(tracker):
    assert isinstance(tracker, VideoSegmenter)
    found = [masks.label_map() for masks in segment_video(tracker, frames(6), PROMPTS)]
    assert (found[5] == 1).equal(true_mask(1, 5))
    assert (found[5] == 2).equal(true_mask(2, 5))


def test_any_step_can_be_gone_on_from(tracker):
    video = frames(7)
    steps = list(segment_steps(tracker, video, PROMPTS))
    assert [step.frame_index for step in steps] == list(range(7))
    again = segment_steps(tracker, video[4:], PROMPTS, state=steps[3].state, first_frame=4)
    for expected, found in zip(steps[4:], again, strict=True):
        assert found.frame_index == expected.frame_index
        assert found.masks.probs.equal(expected.masks.probs)
        assert found.frame.equal(expected.frame)


def test_frames_are_taken_one_by_one_from_a_live_source(tracker):
    taken = []

    def camera():
        for frame_index, frame in enumerate(frames(400)):
            taken.append(frame_index)
            yield frame

    steps = segment_steps(tracker, camera(), {0: {1: true_mask(1, 0)}})
    for _ in range(3):
        next(steps)
    assert len(taken) < 20
    steps.close()
    assert not [t for t in threading.enumerate() if t.name == "maskcast-reader"]


def test_what_goes_wrong_in_the_source_comes_after_the_frames_before(tracker):
    def broken():
        yield from frames(3)
        raise FrameError("frame 3 cannot be read")

    found = []
    with pytest.raises(FrameError, match="frame 3"):
        for masks in segment_video(tracker, broken(), {0: {1: true_mask(1, 0)}}):
            found.append(masks)
    assert len(found) == 3


def test_without_prompts_nothing_is_found(tracker):
    (masks,) = segment_video(tracker, frames(1), {})
    assert masks.ids == ()
    assert masks.probs.shape == (0, 24, 32)


def test_a_frame_of_another_size_is_refused(tracker):
    video = [*frames(2), *frames(1, size=(24, 40))]
    with pytest.raises(FrameError, match="frame 2 is 24×40 but the frames before it are 24×32"):
        list(segment_video(tracker, iter(video), {}))


PICTURE = torch.full((24, 32, 3), 200, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (PICTURE.numpy(), r"frame 0 is a ndarray of uint8 and shape \(24, 32, 3\); pass a float"),
        (PICTURE, r"a Tensor of torch.uint8 and shape \(24, 32, 3\)"),
        (PICTURE.permute(2, 0, 1), r"torch.uint8 and shape \(3, 24, 32\)"),
        (PICTURE.permute(2, 0, 1)[None] / 255, r"shape \(1, 3, 24, 32\)"),
        (
            PICTURE.permute(2, 0, 1).float(),
            r"values up to 200 but they must be in \[0, 1\]; divide",
        ),
        (torch.zeros(3, 0, 32), r"shape \(3, 0, 32\)"),
        ("frame.png", "frame 0 is a str; pass a float"),
    ],
)
def test_what_cameras_and_picture_libraries_give_is_refused(tracker, frame, message):
    with pytest.raises(FrameError, match=message):
        list(segment_video(tracker, iter([frame]), {}))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_masks_are_boolean(dtype):
    mask, frame = torch.ones(24, 32, dtype=dtype), torch.zeros(3, 24, 32)
    with pytest.raises(PromptError, match=rf"object 1 on frame 0 is a Tensor of {dtype} and shape"):
        check_prompts({1: mask}, frame, 0)


FULL = torch.ones(24, 32, dtype=torch.bool)


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        ({1: torch.ones(24, 31, dtype=torch.bool)}, MaskShapeError, "24×31 but the frame is 24×32"),
        ({1: ~FULL}, PromptError, "object 1 on frame 0 is empty"),
        ({1: true_mask(1, 0), 2: FULL}, PromptError, "object 2 on frame 0 overlaps"),
        ({0: FULL}, PromptError, "object ids must be positive, got 0 on frame 0"),
        ({-3: FULL}, PromptError, "got -3"),
        (
            {1: Box(0.25, 0.5, 0.5, 0.25)},
            PromptError,
            r"in fractions .*\(8,12,16,6\)",
        ),
        ({1: Box(32.0, 3.0, 4.0, 4.0)}, PromptError, "box of object 1 on frame 0 lies outside"),
        ({1: Box(3.0, 24.0, 4.0, 4.0)}, PromptError, "outside"),
        ({1: Box(-9.0, 3.0, 9.0, 4.0)}, PromptError, "outside"),
        ({1: Box(3.0, -4.0, 9.0, 4.0)}, PromptError, "outside"),
    ],
)
def test_prompts_no_method_could_follow_are_refused(tracker, prompts, error, message):
    with pytest.raises(error, match=message):
        list(segment_video(tracker, iter(frames(1)), {0: prompts}))


def test_a_device_without_memory_is_named_with_the_frame(tracker, monkeypatch):
    def step(state, frame, prompts):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tracker, "step", step)
    with pytest.raises(DeviceMemoryError, match="out of memory on frame 0, which is 24×32"):
        list(segment_video(tracker, frames(1), {}))


def test_an_object_ends_before_the_step_of_its_last_frame_and_may_begin_again(tracker):
    prompts = {**PROMPTS, 6: {1: true_mask(1, 6)}}
    ends = {2: (1,), 5: (1, 2), 7: (99,)}
    found = [step.masks.ids for step in segment_steps(tracker, frames(8), prompts, ends=ends)]
    assert found == [(1,), (1,), (), (2,), (2,), (), (1,), (1,)]


def test_an_end_and_a_prompt_on_one_frame_begin_the_object_anew(tracker):
    video = frames(3)
    here = {1: true_mask(1, 2)}
    again = list(segment_steps(tracker, video, {0: PROMPTS[0], 2: here}, ends={2: (1,)}))
    fresh = list(segment_steps(tracker, video[2:], {2: here}, first_frame=2))
    assert again[2].masks.probs.equal(fresh[0].masks.probs)


def test_a_state_before_an_end_goes_on_the_same(tracker):
    video, ends = frames(7), {4: (1,)}
    steps = list(segment_steps(tracker, video, PROMPTS, ends=ends))
    again = segment_steps(
        tracker, video[4:], PROMPTS, ends=ends, state=steps[3].state, first_frame=4
    )
    for expected, found in zip(steps[4:], again, strict=True):
        assert found.masks.ids == expected.masks.ids
        assert found.masks.probs.equal(expected.masks.probs)


def test_an_absence_is_passed_to_the_method(tracker):
    found = list(segment_video(tracker, frames(4), {**PROMPTS, 2: {1: ABSENT}}))
    assert [bool(masks.probs[0].any()) for masks in found] == [True, True, False, True]


@pytest.mark.parametrize(
    ("prompts", "ends", "frame_index"),
    [
        ({1: {1: ABSENT}, 3: {1: true_mask(1, 3)}}, {}, 1),
        ({0: {1: true_mask(1, 0)}, 2: {7: ABSENT}}, {}, 2),
        ({0: {1: true_mask(1, 0)}, 3: {1: ABSENT}}, {2: (1,)}, 3),
        ({0: {1: true_mask(1, 0)}, 2: {1: ABSENT}}, {2: (1,)}, 2),
    ],
    ids=["before its mask", "no mask at all", "after its end", "on the frame of its end"],
)
def test_an_absence_of_an_object_that_is_not_tracked_is_an_error_at_once(
    tracker, prompts, ends, frame_index
):
    with pytest.raises(PromptError, match=f"frame {frame_index}: object . is marked absent before"):
        next(segment_steps(tracker, frames(5), prompts, ends=ends))


def test_an_absence_may_follow_a_state_whose_prompts_are_not_given_again(tracker):
    steps = list(segment_steps(tracker, frames(2), {0: PROMPTS[0]}))
    rest = segment_steps(
        tracker, frames(4)[2:], {2: {1: ABSENT}}, state=steps[-1].state, first_frame=2
    )
    assert not next(rest).masks.probs[0].any()
    wrong = segment_steps(
        tracker, frames(4)[2:], {2: {7: ABSENT}}, state=steps[-1].state, first_frame=2
    )
    with pytest.raises(PromptError, match="object 7 is marked absent before its first mask"):
        next(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.index_fill(2, torch.tensor(0), torch.nan), "frame 2 has values that are not"),
        (lambda f: f.index_fill(2, torch.tensor(0), torch.inf), "frame 2 has values up to inf"),
        (lambda f: f.index_fill(2, torch.tensor(0), -torch.inf), "frame 2 has values from -inf to"),
        (
            lambda f: f * 255,
            r"frame 2 has values up to 2[0-9.]+ but .*; divide 8-bit",
        ),
        (lambda f: f * 2 - 1, r"frame 2 has values from -0.[0-9]+ to .*; undo the normalisation"),
        (lambda f: (f * 255).byte(), "frame 2 is a Tensor of torch.uint8"),
    ],
)
def test_values_outside_the_range_are_refused_in_any_frame(tracker, change, message):
    video = frames(4)
    video[2] = change(video[2])
    found = segment_video(tracker, iter(video), {0: {1: true_mask(1, 0)}})
    assert len([next(found), next(found)]) == 2
    with pytest.raises(FrameError, match=message):
        next(found)


def test_the_overshoot_of_resizing_is_accepted(tracker):
    video = [frame * 1.2 - 0.1 for frame in frames(2)]
    assert len(list(segment_video(tracker, video, {}))) == 2


def test_a_source_may_fill_one_tensor_again_and_again(tracker):
    def camera():
        memory = torch.empty_like(frames(1)[0])
        for frame in frames(8):
            yield memory.copy_(frame)

    prompts = {0: {1: true_mask(1, 0)}}
    expected = [masks.probs for masks in segment_video(tracker, frames(8), prompts)]
    found = [masks.probs for masks in segment_video(tracker, camera(), prompts)]
    assert all(map(torch.equal, expected, found))


@pytest.mark.parametrize("frame_index", [3, 99])
def test_prompts_whose_frame_never_comes_are_an_error_at_the_end(tracker, frame_index):
    prompts = {0: {1: true_mask(1, 0)}, frame_index: {1: true_mask(1, 0)}}
    found = segment_video(tracker, frames(3), prompts)
    assert len([next(found) for _ in range(3)]) == 3
    with pytest.raises(PromptError, match=f"prompts for frame {frame_index}, but the last .* is 2"):
        next(found)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"0": {1: true_mask(1, 0)}}, "must be by frame index, an integer from 0, got '0'"),
        ({-1: {1: true_mask(1, 0)}}, "must be by frame index, an integer from 0, got -1"),
        ({0: true_mask(1, 0)}, "the prompts of frame 0 are a Tensor .* such as {1: mask}"),
        ({0: {"1": true_mask(1, 0)}}, "ids must be positive integers, got '1' on frame 0"),
        ({0: {1.0: true_mask(1, 0)}}, "ids must be positive integers, got 1.0 on frame 0"),
        ({0: {True: true_mask(1, 0)}}, "ids must be positive integers, got True on frame 0"),
        ([{1: true_mask(1, 0)}], "the prompts of a video are a list; pass a dictionary, from"),
    ],
)
def test_prompts_in_other_containers_are_refused(prompts, message):
    with pytest.raises(PromptError, match=message):
        check_frame_indices(prompts)
        checked_prompts(prompts[0], frames(1)[0], 0)


@pytest.mark.parametrize("wrong", [None, "lwl-small"])
def test_what_is_no_segmenter_is_rejected(wrong):
    steps = inspect.unwrap(segment_steps)(wrong, frames(1), PROMPTS)  # without the checks of types
    with pytest.raises(UsageError, match=r"^segmenter is a .* maskcast\.load_segmenter\(\)"):
        next(steps)


def test_indices_and_ids_may_be_numbers_of_numpy():
    prompts = {np.int64(0): {np.uint8(3): true_mask(1, 0)}}
    check_frame_indices(prompts)
    assert [type(i) for i in checked_prompts(prompts[0], frames(1)[0], 0)] == [int]


class Searching(ColourTracker):
    """Notes the states that it is asked to search from."""

    def __init__(self) -> None:
        super().__init__(ColourConfig(), torch.zeros(()))
        self.cuts = []

    def after_cut(self, state):
        self.cuts.append([tracked.object_id for tracked in state.objects])
        return self.start()


def test_a_cut_is_passed_on_to_a_segmenter_that_searches_before_its_step(tracker):
    video = frames(7)
    searching = Searching()
    assert isinstance(searching, SearchesNewShots)
    assert not isinstance(tracker, SearchesNewShots)
    cut = {"begins_shot": lambda frame: frame.equal(video[4])}
    steps = list(segment_steps(searching, video, PROMPTS, ends={4: [2]}, **cut))
    assert [step.begins_shot for step in steps] == [index == 4 for index in range(7)]
    assert searching.cuts == [[1]]  # object 2 had ended
    assert [step.masks.ids for step in steps[2:6]] == [(1,), (1, 2), (), ()]
    plain = list(segment_steps(tracker, video, PROMPTS))
    assert not any(step.begins_shot for step in plain)
    for expected, step in zip(plain, segment_steps(tracker, video, PROMPTS, **cut), strict=True):
        assert step.masks.probs.equal(expected.masks.probs)
