"""LWL over videos: appearing, vanishing, corrections, boxes, options."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from maskcast.core.types import ABSENT, Box, ObjectMasks
from maskcast.methods.lwl import segmenter as segmenter_module
from maskcast.methods.lwl.box_start import BoxSegmenter
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.method import build, network_of
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.lwl.segmenter import LWLSegmenter
from maskcast.methods.lwl.state import Found, LWLState, Marked

SIZE = (37, 52)
TINY = tiny()


def frame(seed: int) -> Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(seed))


def square(top: int, left: int, side: int = 9) -> Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def with_options(**changes: Any) -> LWLConfig:
    """The smallest config with changes in any of its parts."""
    config = TINY
    for part in ("learner", "memory", "crop", "speed"):
        known = {k: v for k, v in changes.items() if hasattr(getattr(config, part), k)}
        config = replace(config, **{part: replace(getattr(config, part), **known)})
    return config


def run(
    segmenter: LWLSegmenter, prompts: dict[int, dict[int, Any]], frames: int = 4
) -> tuple[list[LWLState], list[ObjectMasks]]:
    states, found = [segmenter.start()], []
    for t in range(frames):
        state, masks = segmenter.step(states[-1], frame(t), prompts.get(t, {}))
        states.append(state)
        found.append(masks)
    return states, found


@pytest.fixture(scope="module")
def plain() -> LWLSegmenter:
    return build(TINY, None)


@pytest.mark.parametrize(
    "mask",
    [square(3, 4, 1), torch.ones(SIZE, dtype=torch.bool), square(0, 51, 1), square(5, 6, 30)],
    ids=["one pixel", "all", "corner", "large"],
)
def test_any_first_mask_gives_finite_results(plain: LWLSegmenter, mask: Tensor) -> None:
    states, found = run(plain, {0: {7: mask}})
    assert torch.equal(found[0].probs[0], mask.float())
    for state, masks in zip(states[1:], found, strict=True):
        assert masks.probs.isfinite().all()
        assert state.targets[0].tau.isfinite().all()


@pytest.mark.parametrize("disjoint", [False, True])
def test_boxes_that_overlap_can_share_their_pixels_out(
    monkeypatch: pytest.MonkeyPatch, disjoint: bool
) -> None:
    """Both boxes claim a square; object 2 is surer of it, and object 3 is given as a mask."""
    segmenter = build(with_options(disjoint_boxes=disjoint), None)
    claims = iter(
        [torch.where(square(5, 5, 30), 3.0, -20.0), torch.where(square(10, 20), 9.0, -20)]
    )
    box, given = Box(5.0, 5.0, 30.0, 30.0), square(30, 40, 5)
    by_box = (Marked(claim.sigmoid(), box, claim) for claim in claims)
    monkeypatch.setattr(BoxSegmenter, "mark", lambda *_: next(by_box))
    learned = {}
    begin = segmenter._begin

    def note(object_id: int, image: Tensor, marked: Marked) -> Found:
        learned[object_id] = marked.soft_mask
        return begin(object_id, image, marked)

    monkeypatch.setattr(segmenter, "_begin", note)
    segmenter.step(segmenter.start(), frame(0), {1: box, 2: box, 3: given})
    inside = learned[1][square(10, 20)]
    assert bool((inside < 0.01).all()) == disjoint
    assert (learned[1][square(5, 5, 5)] > 0.9).all()
    assert (learned[2][square(10, 20)] > 0.9).all()
    assert torch.equal(learned[3], given.float())


def test_an_object_that_vanishes_and_returns_is_looked_for_where_it_was(
    plain: LWLSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    visible = torch.where(square(10, 20), 20.0, -20.0)
    gone = torch.full(SIZE, -20.0)
    painted = iter([gone, gone, visible, gone])
    monkeypatch.setattr(segmenter_module, "paste", lambda *_, **__: next(painted))
    states, _ = run(plain, {0: {1: square(10, 20)}}, frames=5)
    seen = [state.targets[0].seen for state in states[1:]]
    assert [one is None for one in seen] == [False, True, True, False, True]
    views = [state.targets[0].view for state in states[1:]]
    assert views[2] == views[1]  # nothing seen on frame 1: frame 2 is looked at in the same place
    assert views[4].position == pytest.approx((14.0, 24.0))
    assert len(states[-1].targets[0].memory.slots) == TINY.memory.size  # empty masks are kept too


def test_objects_do_not_disturb_each_others_memory_and_keep_their_ids(plain: LWLSegmenter) -> None:
    prompts = {0: {300: square(2, 2)}, 2: {5: square(20, 30)}}
    states, found = run(plain, prompts)
    assert [masks.ids for masks in found] == [(300,), (300,), (300, 5), (300, 5)]
    assert [t.frames for t in states[-1].targets] == [4, 2]
    torch.testing.assert_close(found[2].probs[1], square(20, 30).float(), rtol=0, atol=1e-30)
    alone, _ = run(plain, {2: {5: square(20, 30)}})
    torch.testing.assert_close(alone[3].targets[0].tau, states[3].targets[1].tau)


def test_a_given_state_stays_valid(plain: LWLSegmenter) -> None:
    states, found = run(plain, {0: {1: square(10, 20)}})
    again, masks = plain.step(states[2], frame(2))
    assert torch.equal(masks.probs, found[2].probs)
    assert torch.equal(again.targets[0].tau, states[3].targets[0].tau)


def test_a_correction_is_remembered_at_once_and_not_a_second_time(plain: LWLSegmenter) -> None:
    corrected = square(20, 8)
    states, found = run(plain, {0: {1: square(10, 20)}, 2: {1: corrected}})
    assert torch.equal(found[2].probs[0], corrected.float())
    target = states[3].targets[0]
    assert target.memory.slots[target.memory.newest].annotated and target.latest is None
    assert target.view.position == (23.5, 11.5)
    assert target.view.size == pytest.approx((8.0, 8.0))
    following = states[4].targets[0]
    assert following.memory is target.memory
    assert following.frames == 4


def test_an_absence_is_remembered_at_once_with_an_empty_mask_where_it_was_looked_for(
    plain: LWLSegmenter,
) -> None:
    prompts: dict[int, Any] = {0: {1: square(10, 20)}, 2: {1: ABSENT}}
    states, found = run(plain, prompts, frames=5)
    expected, _ = run(plain, {0: {1: square(10, 20)}}, frames=3)
    assert found[2].ids == (1,) and not found[2].probs.any()
    target, undisturbed = states[3].targets[0], expected[3].targets[0]
    assert target.seen is None and target.latest is None
    assert target.view == undisturbed.view
    assert target.memory.slots is states[3].targets[0].memory.slots
    (slot,) = target.memory.absences
    assert undisturbed.latest is not None and slot.annotated
    assert torch.equal(slot.x, undisturbed.latest.x)  # the crop of the same view
    labels = plain.network.label_encoder(torch.zeros(1, *TINY.crop.size))
    assert torch.equal(slot.label, labels.label[0].movedim(0, -1))
    assert not torch.equal(target.tau, undisturbed.tau)  # it is learnt at once
    after = states[4].targets[0]
    assert after.view == target.view  # looked for where it was
    assert after.memory is target.memory  # and remembered once


def test_pixels_of_an_absent_object_are_free_for_the_others(plain: LWLSegmenter) -> None:
    start = {0: {1: square(2, 2), 2: square(20, 30)}}
    states, _ = run(plain, start, frames=2)
    _, together = plain.step(states[-1], frame(2), {1: ABSENT})
    _, alone = plain.step(plain.remove_objects(states[-1], [1]), frame(2))
    assert torch.equal(together.probs[1:], alone.probs)


def test_the_learner_runs_on_every_nth_frame() -> None:
    states, _ = run(build(with_options(update_every=2), None), {0: {1: square(10, 20)}}, frames=5)
    taus = [state.targets[0].tau for state in states[1:]]
    changed = [not torch.equal(a, b) for a, b in pairwise(taus)]
    assert changed == [False, True, False, True]  # before frames k = 3 and 5
    assert len(states[-1].targets[0].memory.slots) == TINY.memory.size


def test_no_update_steps_freeze_the_target_model() -> None:
    states, _ = run(build(with_options(update_steps=0), None), {0: {1: square(10, 20)}})
    assert torch.equal(states[1].targets[0].tau, states[-1].targets[0].tau)


def test_a_box_is_clipped_and_answered_with_a_mask_of_our_own(plain: LWLSegmenter) -> None:
    given, ours = plain.step(plain.start(), frame(0), {1: Box(-5.0, 30.0, 15.0, 20.0)})
    _, inside = plain.step(plain.start(), frame(0), {1: Box(0.0, 30.0, 10.0, 7.0)})
    assert torch.equal(ours.probs, inside.probs)  # what is encoded lies inside the frame
    assert given.targets[0].view.position == (39.5, 2.0)  # where to look is told by the box itself
    _, found = run(plain, {0: {1: Box(10.0, 10.0, 15.0, 20.0)}, 2: {1: Box(0.0, 0.0, 9.0, 9.0)}})
    for masks in found:
        assert masks.probs.isfinite().all()
    assert found[0].probs.min() > 0 and found[0].probs.max() < 1


def test_a_box_may_be_looked_at_in_a_crop_around_it(plain: LWLSegmenter) -> None:
    segmenter = build(with_options(box_view="crop"), None)
    box = {1: Box(10.0, 10.0, 15.0, 20.0)}
    whole = torch.rand(3, *TINY.crop.size, generator=torch.Generator().manual_seed(5))
    _, on_frame = plain.step(plain.start(), whole, {1: Box(0.0, 0.0, 96.0, 64.0)})
    _, on_crop = segmenter.step(segmenter.start(), whole, {1: Box(0.0, 0.0, 96.0, 64.0)})
    assert torch.equal(on_crop.probs, on_frame.probs)  # here the crop is the frame
    far = torch.rand(3, 300, 400, generator=torch.Generator().manual_seed(6))
    far[:, 10:30, 10:25] = 1
    _, found = segmenter.step(segmenter.start(), far, box)
    far[:, 200:] = 0  # beyond the crop nothing counts
    _, again = segmenter.step(segmenter.start(), far, box)
    assert torch.equal(found.probs, again.probs)
    assert found.probs[0, 10:30, 10:25].min() > 0 and found.probs[0, 200:].max() == 0


@pytest.mark.parametrize("name", ["batch_objects", "channels_last", "fold_batch_norm"])
def test_options_that_trade_speed_for_nothing(plain: LWLSegmenter, name: str) -> None:
    prompts = {0: {1: square(2, 2), 2: square(20, 30)}}
    _, expected = run(plain, prompts)
    _, found = run(build(with_options(**{name: False}), None), prompts)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.probs, other.probs, rtol=0, atol=1e-4)


def test_a_shared_crop_is_seen_once_and_remembered_by_all() -> None:
    segmenter = build(with_options(share_crop=True), None)
    states, found = run(segmenter, {0: {1: square(2, 2), 2: square(20, 30)}})
    first, second = states[2].targets
    assert first.latest is not None and second.latest is not None
    assert torch.equal(first.latest.x, second.latest.x)
    assert not torch.equal(first.latest.label, second.latest.label)
    assert found[-1].probs.isfinite().all()


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1, 1, 1, 1, 1]), (2, [1, 2, 2]), (4, [2, 3]), (5, [5])]
)
def test_objects_are_segmented_in_batches_of_similar_size(
    plain: LWLSegmenter, monkeypatch: pytest.MonkeyPatch, most: int, expected: list[int]
) -> None:
    together, sizes = plain._predict_together, []

    def counted(placed: Any, image: Tensor) -> list[Found]:
        sizes.append(len(placed))
        return together(placed, image)

    prompts = {0: {number: square(6 * number, 8 * number) for number in range(1, 6)}}
    _, whole = run(plain, prompts, frames=2)
    monkeypatch.setattr(plain, "_predict_together", counted)
    monkeypatch.setattr(plain, "_most_together", most)
    _, found = run(plain, prompts, frames=2)
    assert sizes == expected
    torch.testing.assert_close(found[1].probs, whole[1].probs, rtol=0, atol=1e-5)


def test_out_of_memory_splits_the_objects_of_a_frame(
    plain: LWLSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {0: {1: square(2, 2), 2: square(20, 30), 3: square(2, 40)}}
    _, expected = run(plain, prompts, frames=2)
    batches = []
    together = LWLSegmenter._predict_together

    def short_of_memory(self: LWLSegmenter, placed: Any, frame: Tensor) -> Any:
        batches.append(len(placed))
        if len(placed) > 1:
            raise torch.OutOfMemoryError("simulated")
        return together(self, placed, frame)

    monkeypatch.setattr(LWLSegmenter, "_predict_together", short_of_memory)
    _, found = run(plain, prompts, frames=2)
    assert batches == [3, 1, 2, 1, 1]
    torch.testing.assert_close(found[1].probs, expected[1].probs, rtol=0, atol=1e-4)


def test_removed_objects_are_forgotten_and_unknown_ids_passed_over(plain: LWLSegmenter) -> None:
    states, _ = run(plain, {0: {1: square(2, 2), 2: square(20, 30)}}, frames=2)
    left = plain.remove_objects(states[-1], {2, 99})
    assert [target.object_id for target in left.targets] == [1]
    _, masks = plain.step(left, frame(2))
    assert masks.ids == (1,)


def test_bfloat16_keeps_learning_in_float32() -> None:
    segmenter = LWLSegmenter(network_of(TINY, None), TINY, dtype=torch.bfloat16)
    states, found = run(segmenter, {0: {1: square(10, 20)}})
    assert found[-1].probs.dtype == torch.float32 and found[-1].probs.isfinite().all()
    target = states[-1].targets[0]
    assert {target.tau.dtype, target.memory.slots[0].x.dtype} == {torch.float32}


@pytest.mark.parametrize("native", [False, True])
def test_a_memory_in_bfloat16_takes_half_the_space_and_continues_a_state_in_float32(
    plain, monkeypatch, native
):
    monkeypatch.setattr(segmenter_module, "has_bfloat16", lambda device: native)
    coarse = build(with_options(dtype="bfloat16"), None)
    prompts = {0: {1: square(4, 6)}}
    (*_, state), exact = run(plain, prompts)
    (*_, half), rounded = run(coarse, prompts)
    for one, other in zip(exact, rounded, strict=True):
        torch.testing.assert_close(one.probs, other.probs, rtol=0, atol=0.02)
    slots, halves = state.targets[0].memory.slots, half.targets[0].memory.slots
    assert [2 * slot.x.nbytes for slot in halves] == [slot.x.nbytes for slot in slots]
    assert all(slot.label.dtype == slot.weight.dtype == torch.float32 for slot in halves)
    expected = plain.step(state, frame(9))[1].probs
    continued, masks = coarse.step(state, frame(9))
    torch.testing.assert_close(masks.probs, expected, rtol=0, atol=0.02)
    assert continued.targets[0].latest.x.dtype == torch.bfloat16
    assert coarse.step(continued, frame(10))[1].ids == (1,)
