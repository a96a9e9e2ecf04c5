"""The frame loop: who is predicted, who is updated with what, what is returned."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from maskcast.core.errors import FrameError, PromptError
from maskcast.core.types import Box
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.framing import Padding, indicator, to_grid
from maskcast.methods.agame.method import build
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.segmenter import AgameSegmenter, AgameState

SIZE = (44, 60)


@cache
def segmenter(**settings: Any) -> AgameSegmenter:
    return build(replace(tiny(), **settings), None)


def frame(index: int) -> Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(index))


def mask(slot: int) -> Tensor:
    made = torch.zeros(SIZE, dtype=torch.bool)
    made[10 * slot : 10 * slot + 10, 5:40] = True
    return made


def follow(made: AgameSegmenter, *prompts: dict[int, Any]) -> AgameState:
    state = made.start()
    for index, given in enumerate(prompts):
        state, _ = made.step(state, frame(index), given)
    return state


def means(state: AgameState, object_id: int) -> Tensor:
    assert state.objects is not None
    assert state.objects.mixture is not None
    return state.objects.mixture.means[state.ids.index(object_id)]


def test_the_first_frame_begins_objects_and_returns_what_was_given() -> None:
    found = segmenter().step_normalised(segmenter().start(), frame(0), {5: mask(1), 2: mask(0)})
    assert found.predicted_ids == ()
    assert found.masks.ids == (2, 5)
    assert found.masks.probs.equal(torch.stack([mask(0), mask(1)]).float())
    assert found.state.first_frames == (0, 0)


def test_a_given_mask_stands_and_the_others_learn_without_its_pixels() -> None:
    state = follow(segmenter(), {1: mask(0)})
    found = segmenter().step_normalised(state, frame(1), {7: mask(2)})
    assert found.predicted_ids == (1,)
    assert found.state.ids == (1, 7)
    assert found.state.first_frames == (0, 1)
    assert found.masks.probs[1].equal(mask(2).float())
    assert found.masks.probs[0][mask(2)].eq(0).all()
    assert found.state.objects is not None
    y = found.state.objects.previous_mask
    assert y[1].equal(to_grid(indicator(Padding(*SIZE).pad(mask(2))[None]))[0])
    padded = torch.zeros(48, 64)
    padded[2:46, 2:62] = found.masks.probs[0]
    inner = torch.nn.functional.avg_pool2d(padded[None], 16)[0, 1:2, 1:3]  # away from the padding
    torch.testing.assert_close(y[0, 1, 1:2, 1:3], inner)


def test_a_new_object_is_segmented_at_once_when_predicted() -> None:
    made = segmenter(entry_frame="predicted")
    state = follow(made, {1: mask(0)})
    found = made.step_normalised(state, frame(1), {7: mask(2)})
    assert found.predicted_ids == (1, 7)
    assert not found.masks.probs[1].equal(mask(2).float())


def test_the_first_frame_is_that_of_the_first_object() -> None:
    made = segmenter(entry_frame="predicted")
    state = follow(made, {}, {})  # a video whose annotations begin on its third frame
    found = made.step_normalised(state, frame(2), {3: mask(1)})
    assert found.predicted_ids == ()
    assert found.masks.probs[0].equal(mask(1).float())
    assert found.state.first_frames == (2,)
    cut = made.step_normalised(made.start(), frame(2), {3: mask(1)})
    assert means(found.state, 3).equal(means(cut.state, 3))


def test_what_is_learnt_where_an_object_begins_does_not_hang_on_the_precision() -> None:
    half = build(tiny(), None, dtype=torch.bfloat16)
    found, expected = (follow(made, {1: mask(0)}, {2: mask(2)}) for made in (half, segmenter()))
    assert means(found, 2).equal(means(expected, 2))
    assert not means(found, 1).equal(means(expected, 1))  # has learnt from a frame in bfloat16


def test_a_correction_begins_its_object_anew_and_no_other() -> None:
    state = follow(segmenter(), {1: mask(0), 2: mask(1)}, {})
    corrected, found = segmenter().step(state, frame(2), {1: mask(3)})
    fresh, _ = segmenter().step(segmenter().start(), frame(2), {1: mask(3)})
    assert corrected.ids == (1, 2)
    assert corrected.first_frames == (0, 0)
    assert found.probs[0].equal(mask(3).float())
    torch.testing.assert_close(means(corrected, 1), means(fresh, 1))
    assert corrected.objects is not None
    assert state.objects is not None
    assert corrected.objects.first_mask[1].equal(state.objects.first_mask[1])
    assert not corrected.objects.first_mask[0].equal(state.objects.first_mask[0])


def test_corrections_are_refused_where_entry_frames_are_predicted() -> None:
    made = segmenter(entry_frame="predicted")
    state = follow(made, {1: mask(0)})
    with pytest.raises(PromptError, match="entry_frame=given"):
        made.step(state, frame(1), {1: mask(1)})


def test_the_first_frame_can_be_processed_and_still_returns_the_given_mask() -> None:
    made = segmenter(process_first_frame=True, update_mask="coarse")
    found = made.step_normalised(made.start(), frame(0), {1: mask(0)})
    assert found.predicted_ids == (1,)
    assert found.masks.probs[0].equal(mask(0).float())
    assert found.state.objects is not None
    assert found.prediction is not None
    assert found.state.objects.previous_mask.equal(found.prediction.coarse.softmax(dim=1))


@pytest.mark.parametrize("update_mask", ["merged", "fine", "coarse"])
def test_what_the_update_sees(update_mask: str) -> None:
    made = segmenter(update_mask=update_mask)
    state = follow(made, {1: mask(0), 2: mask(1)})
    found = made.step_normalised(state, frame(1))
    assert found.prediction is not None
    assert found.state.objects is not None
    y = found.state.objects.previous_mask
    own = to_grid(found.prediction.fine.softmax(dim=1))
    if update_mask == "coarse":
        assert y.equal(found.prediction.coarse.softmax(dim=1))
    else:
        assert y.equal(own) == (update_mask == "fine")
    torch.testing.assert_close(y.sum(dim=1), torch.ones(2, 3, 4))


def test_removed_objects_leave_the_others_as_they_were() -> None:
    state = follow(segmenter(), {1: mask(0), 2: mask(1), 3: mask(2)})
    left = segmenter().remove_objects(state, [2, 9])
    assert left.ids == (1, 3)
    assert means(left, 3).equal(means(state, 3))
    assert segmenter().remove_objects(state, [9]) is state
    empty = segmenter().remove_objects(left, [1, 3])
    assert empty.objects is None
    after, found = segmenter().step(empty, frame(1))
    assert found.ids == ()
    assert found.probs.shape == (0, *SIZE)
    assert after.frame_index == 2


def test_frames_without_objects_do_not_run_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made = segmenter()
    monkeypatch.setattr(made.network, "features", None)
    state, found = made.step(made.start(), frame(0))
    assert found.ids == ()
    assert state.frame_index == 1


def test_the_trunk_runs_once_per_frame_whatever_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    made, calls = segmenter(), []
    trunk = made.network.trunk.forward
    monkeypatch.setattr(made.network.trunk, "forward", lambda x: calls.append(len(x)) or trunk(x))
    follow(made, {1: mask(0), 2: mask(1)}, {3: mask(2)}, {1: mask(3)}, {})
    assert calls == [1, 1, 1, 1]


def test_objects_that_do_not_fit_together_are_segmented_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = segmenter()
    state = follow(made, {1: mask(0), 2: mask(1), 3: mask(2)})
    _, together = made.step(state, frame(1))
    predict = made.network.predict

    def small_device(features: Any, objects: Any) -> Any:
        if len(objects) > 1:
            raise torch.OutOfMemoryError
        return predict(features, objects)

    monkeypatch.setattr(made.network, "predict", small_device)
    _, apart = made.step(state, frame(1))
    torch.testing.assert_close(apart.probs, together.probs, rtol=1e-4, atol=1e-5)


def test_a_box_and_a_frame_of_another_size_are_refused() -> None:
    state = follow(segmenter(), {1: mask(0)})
    with pytest.raises(PromptError, match="converts boxes to masks"):
        segmenter().step(state, frame(1), {2: Box(1, 1, 5, 5)})
    with pytest.raises(FrameError, match="the same size"):
        segmenter().step(state, torch.rand(3, 100, 60))


def test_large_frames_are_worked_on_at_the_size_of_the_training() -> None:
    made = segmenter(working_side=22)
    state, first = made.step(made.start(), frame(0), {1: mask(0), 4: mask(1)})
    assert first.probs.equal(torch.stack([mask(0), mask(1)]).float())  # returned as given
    assert state.objects is not None
    assert state.objects.first_mask.shape[-2:] == (2, 2)  # of 22×30, padded
    state, found = made.step(state, frame(1), {7: mask(3)})
    assert found.probs.shape == (3, *SIZE)
    assert found.probs[2].equal(mask(3).float())
    assert found.probs.sum(dim=0).max() <= 1 + 1e-5
    other = segmenter(working_side=100)  # never enlarged
    _, same = other.step(follow(other, {1: mask(0)}), frame(1))
    _, plain = segmenter().step(follow(segmenter(), {1: mask(0)}), frame(1))
    torch.testing.assert_close(same.probs, plain.probs)


def test_a_small_object_survives_shrinking() -> None:
    made = segmenter(working_side=16)
    dot = torch.zeros(SIZE, dtype=torch.bool)
    dot[20, 30] = True
    state, _ = made.step(made.start(), frame(0), {1: dot})
    assert state.objects is not None
    assert state.objects.first_mask[0, 1].sum() > 0


def test_batch_norm_is_folded_into_the_convolutions() -> None:
    norms = [m for m in segmenter().network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not norms


def test_published_settings_are_the_defaults() -> None:
    config = AgameConfig()
    assert config.update_mask == "merged"
    assert config.appearance.update_rate == 0.1
    assert not config.process_first_frame
