"""What every method must do, on its smallest config and seeded weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from contract import stand_in
from contract.coloured_video import frames, true_mask
from maskcast.core.config import config_from_dict, config_to_dict, settings_of, with_options
from maskcast.core.errors import PromptError
from maskcast.core.segmenter import VideoSegmenter, segment_steps, segment_video
from maskcast.core.state import load_state, save_state
from maskcast.core.types import ABSENT, Box, ObjectMasks
from maskcast.methods.catalogue import METHODS

SIZE = (49, 66)
"""Odd on purpose: no multiple of any stride."""
ALL = {"stand-in": stand_in.METHOD, **METHODS}

pytestmark = pytest.mark.parametrize("method", ALL)


@cache
def build_tiny(method: str) -> VideoSegmenter[Any]:
    chosen = ALL[method]
    return chosen.build(
        chosen.tiny(), None, device=torch.device("cpu"), dtype=torch.float32, progress=None
    )


@cache
def video(count: int = 5, seed: int = 0) -> list[Tensor]:
    return frames(count, (1, 2, 300), seed=seed, size=SIZE)


def mask_of(object_id: int, frame_index: int = 0) -> Tensor:
    return true_mask(object_id, frame_index, SIZE)


def segment(method: str, count: int, prompts: Mapping[int, Any]) -> list[ObjectMasks]:
    return list(segment_video(build_tiny(method), video()[:count], prompts))


def assert_same(expected: ObjectMasks, found: ObjectMasks) -> None:
    assert found.ids == expected.ids
    assert found.probs.equal(expected.probs)


def assert_sound(masks: ObjectMasks, ids: set[int]) -> None:
    assert set(masks.ids) == ids
    assert masks.probs.shape == (len(ids), *SIZE)
    assert masks.probs.dtype == torch.float32
    assert not masks.probs.requires_grad
    assert masks.probs.isfinite().all()
    assert (masks.probs >= 0).all()
    assert (masks.probs.sum(dim=0) <= 1 + 1e-5).all()
    assert set(masks.label_map().unique().tolist()) <= {0, *ids}


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors in a state, in order."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        return [t for field in fields(value) for t in tensors_of(getattr(value, field.name))]
    if isinstance(value, tuple):
        return [tensor for item in value for tensor in tensors_of(item)]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in tensors_of(item)]
    return []


def test_it_is_a_segmenter_with_settings_that_go_through_json(method):
    assert isinstance(build_tiny(method), VideoSegmenter)
    chosen = ALL[method]
    for config in (chosen.tiny(), chosen.config()):
        assert config_from_dict(chosen.config, config_to_dict(config)) == config
    assert list(settings_of(chosen.config()))


def test_two_videos_taking_turns_do_not_disturb_each_other(method):
    segmenter = build_tiny(method)
    prompts = [{0: {1: mask_of(1)}}, {0: {2: mask_of(2)}, 1: {1: mask_of(1, 1)}}]
    videos = [video(4), video(4, seed=1)]
    pairs = list(zip(videos, prompts, strict=True))
    apart = [list(segment_video(segmenter, *pair)) for pair in pairs]
    in_turn = zip(*(segment_video(segmenter, *pair) for pair in pairs), strict=True)
    for expected, found in zip(zip(*apart, strict=True), in_turn, strict=True):
        assert_same(expected[0], found[0])
        assert_same(expected[1], found[1])


def test_a_state_saved_and_loaded_goes_on_to_the_same_bits(method, tmp_path):
    segmenter = build_tiny(method)
    prompts = {0: {1: mask_of(1)}, 1: {300: mask_of(300, 1)}}
    steps = list(segment_steps(segmenter, video(), prompts))
    for last in (0, 2):
        save_state(steps[last].state, tmp_path / "state.safetensors")
        state = load_state(tmp_path / "state.safetensors", segmenter)
        rest = segment_steps(
            segmenter, video()[last + 1 :], prompts, state=state, first_frame=last + 1
        )
        for expected, found in zip(steps[last + 1 :], rest, strict=True):
            assert_same(expected.masks, found.masks)


def test_an_old_state_stays_valid(method):
    segmenter = build_tiny(method)
    steps = list(segment_steps(segmenter, video(3), {0: {1: mask_of(1)}}))
    old = steps[0].state
    before = [tensor.clone() for tensor in tensors_of(old)]
    state, _ = segmenter.step(old, video()[1], {1: mask_of(1, 1), 2: mask_of(2, 1)})
    state, _ = segmenter.step(state, video()[2])
    segmenter.remove_objects(state, [1])
    for tensor, kept in zip(tensors_of(old), before, strict=True):
        assert tensor.equal(kept)
    _, again = segmenter.step(old, video()[1])
    assert_same(steps[1].masks, again)


def test_without_objects_the_result_is_empty(method):
    segmenter = build_tiny(method)
    state, masks = segmenter.step(segmenter.start(), video()[0])
    assert_sound(masks, set())
    _, masks = segmenter.step(state, video()[1])
    assert_sound(masks, set())


def test_a_given_mask_comes_back_as_given_and_owns_its_pixels(method):
    late = {0: {1: mask_of(1), 2: mask_of(2)}, 2: {300: mask_of(1, 2)}}
    found = segment(method, 3, late)
    for object_id in (1, 2):
        assert (found[0].label_map() == object_id).equal(mask_of(object_id))
    assert (found[2].label_map() == 300).equal(mask_of(1, 2))  # where object 1 is now


def test_objects_come_late_and_are_corrected(method):
    prompts = {1: {2: mask_of(2, 1)}, 2: {1: mask_of(1, 2)}, 3: {2: mask_of(300, 3)}}
    found = segment(method, 5, prompts)
    for masks, ids in zip(found, [set(), {2}, {1, 2}, {1, 2}, {1, 2}], strict=True):
        assert_sound(masks, ids)
    assert (found[3].label_map() == 2).equal(mask_of(300, 3))


def test_a_correction_changes_what_comes_after(method):
    plain = segment(method, 4, {0: {1: mask_of(1)}})
    corrected = segment(method, 4, {0: {1: mask_of(1)}, 2: {1: mask_of(300, 2)}})
    assert_same(plain[1], corrected[1])
    assert not plain[3].probs.equal(corrected[3].probs)


def test_removed_objects_are_gone_and_may_come_again(method):
    segmenter = build_tiny(method)
    state, _ = segmenter.step(segmenter.start(), video()[0], {1: mask_of(1), 2: mask_of(2)})
    state, _ = segmenter.step(state, video()[1])
    state = segmenter.remove_objects(state, [1, 77])
    state, masks = segmenter.step(state, video()[2])
    assert_sound(masks, {2})
    emptied, masks = segmenter.step(segmenter.remove_objects(state, [2]), video()[3])
    assert_sound(masks, set())
    _, masks = segmenter.step(emptied, video()[4], {1: mask_of(1, 4)})
    assert_sound(masks, {1})
    assert (masks.label_map() == 1).equal(mask_of(1, 4))


def test_ids_are_any_positive_numbers_and_keep_their_masks(method):
    few = segment(method, 3, {0: {1: mask_of(1), 2: mask_of(2)}})
    many = segment(method, 3, {0: {300: mask_of(1), 70000: mask_of(2)}})
    for expected, found in zip(few, many, strict=True):
        assert_sound(found, {300, 70000})
        for one, other in ((1, 300), (2, 70000)):
            expected_probs = expected.probs[expected.ids.index(one)]
            assert found.probs[found.ids.index(other)].equal(expected_probs)


def test_tiny_and_huge_objects_are_followed_without_nan(method):
    corner = torch.zeros(SIZE, dtype=torch.bool)
    corner[-1, -1] = True
    everything = torch.ones(SIZE, dtype=torch.bool)
    for masks in ({1: corner}, {1: everything}, {1: corner, 2: ~corner}):
        for found in segment(method, 4, {0: masks}):
            assert_sound(found, set(masks))


def test_an_object_may_vanish_and_return(method):
    there, gone = video()[:2], [torch.full((3, *SIZE), 0.1)] * 2
    prompts = {0: {1: mask_of(1), 2: mask_of(2)}}
    for found in segment_video(build_tiny(method), [*there, *gone, *there], prompts):
        assert_sound(found, {1, 2})


def absent_in(masks: ObjectMasks, object_id: int) -> bool:
    """Whether an object is tracked and has not the least share of any pixel."""
    return not masks.probs[masks.ids.index(object_id)].any()


def test_an_object_marked_absent_has_no_mask_and_stays_tracked(method):
    start = {1: mask_of(1), 2: mask_of(2)}
    plain = segment(method, 5, {0: start})
    found = segment(method, 5, {0: start, 2: {1: ABSENT}, 3: {1: ABSENT}})
    for masks in found:
        assert_sound(masks, {1, 2})
    for expected, masks in zip(plain[:2], found[:2], strict=True):
        assert_same(expected, masks)
    assert [absent_in(masks, 1) for masks in found[:4]] == [False, False, True, True]
    if found[2].presence is not None:
        assert found[2].presence[0] == 0
    assert (found[2].label_map() == 2).any()


def test_a_mask_after_an_absence_stands(method):
    prompts = {0: {1: mask_of(1)}, 1: {1: ABSENT}, 2: {1: mask_of(300, 2)}}
    found = segment(method, 4, prompts)
    assert absent_in(found[1], 1)
    assert (found[2].label_map() == 1).equal(mask_of(300, 2))
    assert_sound(found[3], {1})


def test_all_objects_may_be_absent_at_once(method):
    prompts = {0: {1: mask_of(1), 2: mask_of(2)}, 1: {1: ABSENT, 2: ABSENT}}
    found = segment(method, 3, prompts)
    assert absent_in(found[1], 1) and absent_in(found[1], 2)
    assert_sound(found[2], {1, 2})


def test_an_absence_is_evidence(method):
    plain = segment(method, 3, {0: {1: mask_of(1)}})
    told = segment(method, 3, {0: {1: mask_of(1)}, 1: {1: ABSENT}})
    assert not told[2].probs.equal(plain[2].probs)


def test_states_with_absences_are_values(method, tmp_path):
    segmenter = build_tiny(method)
    prompts = {0: {1: mask_of(1), 2: mask_of(2)}, 1: {1: ABSENT}, 2: {1: ABSENT}}
    steps = list(segment_steps(segmenter, video(), prompts))
    for last in (1, 2):
        before = [tensor.clone() for tensor in tensors_of(steps[last].state)]
        save_state(steps[last].state, tmp_path / "state.safetensors")
        state = load_state(tmp_path / "state.safetensors", segmenter)
        rest = segment_steps(
            segmenter, video()[last + 1 :], prompts, state=state, first_frame=last + 1
        )
        for expected, found in zip(steps[last + 1 :], rest, strict=True):
            assert_same(expected.masks, found.masks)
        segmenter.step(steps[last].state, video()[last + 1], {2: ABSENT})
        for tensor, kept in zip(tensors_of(steps[last].state), before, strict=True):
            assert tensor.equal(kept)


def test_only_a_tracked_object_can_be_absent(method):
    segmenter = build_tiny(method)
    with pytest.raises(PromptError, match="object 3 is marked absent before its first mask"):
        segmenter.step(segmenter.start(), video()[0], {1: mask_of(1), 3: ABSENT})
    state, _ = segmenter.step(segmenter.start(), video()[0], {1: mask_of(1)})
    state = segmenter.remove_objects(state, [1])
    with pytest.raises(PromptError, match="object 1 is marked absent before its first mask"):
        segmenter.step(state, video()[1], {1: ABSENT})


@pytest.mark.parametrize("thresholds", ["0.001,0.001", "0.5,0.6", "0.998,0.999"])
def test_presence_says_which_objects_have_a_mask(method, thresholds, tmp_path):
    chosen = ALL[method]
    if "presence.rule" not in {setting.name for setting in settings_of(chosen.tiny())}:
        pytest.skip("the method cannot recognise absences")
    options = {"presence.rule": "confidence", "presence.thresholds": thresholds}
    segmenter = chosen.build(
        with_options(chosen.tiny(), options),
        None,
        device=torch.device("cpu"),
        dtype=torch.float32,
        progress=None,
    )
    prompts = {0: {1: mask_of(1)}, 1: {300: mask_of(300, 1)}, 3: {1: ABSENT}}
    steps = list(segment_steps(segmenter, video(), prompts))
    for step in steps:
        masks = step.masks
        assert_sound(masks, set(masks.ids))
        assert masks.presence is not None and masks.presence.shape == (len(masks.ids),)
        for object_id, presence in zip(masks.ids, masks.presence.tolist(), strict=True):
            assert 0 <= presence <= 1
            assert presence >= 0.5 or absent_in(masks, object_id)
    assert steps[0].masks.presence.tolist() == [1]
    assert steps[1].masks.presence[1] == 1
    assert steps[3].masks.presence[0] == 0
    if thresholds.endswith("0.999"):
        assert (steps[2].masks.presence < 0.5).all()
    save_state(steps[2].state, tmp_path / "state.safetensors")
    state = load_state(tmp_path / "state.safetensors", type(segmenter.start()))
    rest = segment_steps(segmenter, video()[3:], prompts, state=state, first_frame=3)
    for expected, found in zip(steps[3:], rest, strict=True):
        assert_same(expected.masks, found.masks)
        assert found.masks.presence.equal(expected.masks.presence)


def test_a_box_starts_an_object_where_the_method_says_it_can(method):
    segmenter = build_tiny(method)
    if not ALL[method].takes_boxes(ALL[method].tiny()):
        pytest.skip("boxes are converted to masks by methods.box_start")
    box = Box(2.0, 1.0, 9.0, 8.0)
    state, masks = segmenter.step(segmenter.start(), video()[0], {7: box, 1: mask_of(2)})
    assert_sound(masks, {1, 7})
    assert (masks.label_map() == 1).equal(mask_of(2))
    state, masks = segmenter.step(state, video()[1], {7: Box(3.0, 1.0, 9.0, 8.0)})
    _, masks = segmenter.step(state, video()[2])
    assert_sound(masks, {1, 7})


def test_no_global_random_number_is_drawn(method):
    # Python's own generator is left out: beartype draws from it when it checks containers
    before = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    segment(method, 3, {0: {1: mask_of(1)}, 1: {2: mask_of(2, 1)}})
    assert torch.get_rng_state().equal(before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002
