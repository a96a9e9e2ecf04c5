"""Absent objects: thresholds and merging by hand, and what the segmenter does with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from maskcast.core.areas import Area
from maskcast.core.config import settings_of
from maskcast.core.errors import ConfigError
from maskcast.core.segmenter import SearchesNewShots
from maskcast.core.state import load_state, save_state
from maskcast.core.types import ABSENT, ObjectMasks
from maskcast.methods.lwl.absence import PresenceRule, merge_maps
from maskcast.methods.lwl.aggregation import aggregate_logits
from maskcast.methods.lwl.config import LWLConfig, MemoryConfig
from maskcast.methods.lwl.crop import OUTSIDE_LOGIT, View, view_patch
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.memory import Memory, Slot
from maskcast.methods.lwl.method import build
from maskcast.methods.lwl.presence import Evidence, Judgement, Presence, describe_first
from maskcast.methods.lwl.presence_config import PresenceConfig
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.lwl.searching import search_views
from maskcast.methods.lwl.segmenter import LWLSegmenter
from maskcast.methods.lwl.state import LWLState, Target
from maskcast.methods.lwl.training.config import LWLTrainingConfig

SIZE = (37, 52)
BY_CONFIDENCE = PresenceConfig(rule="confidence")
BY_LIKENESS = PresenceConfig(rule="likeness")
TINY = replace(tiny(), presence=BY_CONFIDENCE)


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def crops(*confidences: float) -> Tensor:
    """Logits of crops in which some pixels have this probability and the others 0.1."""
    logits = torch.full((len(confidences), 8, 12), logit(0.1))
    for each, confidence in zip(logits, confidences, strict=True):
        each[2:5, 3:8] = logit(confidence)
    return logits


def judged(
    logits: Tensor,
    absent: Sequence[bool],
    *,
    config: PresenceConfig = BY_CONFIDENCE,
    x: Tensor | None = None,
    firsts: Sequence[Tensor | None] | None = None,
    usuals: Sequence[Tensor | None] | None = None,
) -> list[float]:
    x = torch.ones(len(logits), 2, 4, 6) if x is None else x
    scores = torch.zeros(len(logits), 3, 4, 6)
    firsts = [None] * len(logits) if firsts is None else firsts
    usuals = [None] * len(logits) if usuals is None else usuals
    slot = Slot(*(torch.zeros(4, 6, channels) for channels in (2, 3, 3)))
    view = View((0.0, 0.0), 1.0, (1.0, 1.0))
    before = Target(1, 2, view, None, torch.zeros(1, 3, 2, 3, 3), Memory.of_first(slot), None)
    targets = [
        replace(before, first=first, usual_likeness=usual, absent_frames=2 * was_absent)
        for first, usual, was_absent in zip(firsts, usuals, absent, strict=True)
    ]
    found = PresenceRule(config, None, 100.0).judge(targets, Decoded(logits, []), x, scores)
    return [float(each.presence) for each in found if each is not None]


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


def test_presence_is_the_mean_confidence_with_the_threshold_at_one_half() -> None:
    found = judged(crops(0.9, 0.8001, 0.7, 0.4), [False] * 4)
    # from 0.8 to 1 linearly: 1 - 0.5 · 0.1 / 0.2; below it: 0.5 · 0.7 / 0.8; no pixel is above 0.5
    assert found == pytest.approx([0.75, 0.5, 0.4375, 0.0], abs=1e-3)


def test_an_absent_object_needs_more_to_be_visible_again() -> None:
    found = judged(crops(0.85, 0.85, 0.94), [False, True, True])
    assert found == pytest.approx([0.625, 0.5 * 0.85 / 0.88, 0.75], abs=1e-5)


def judged_by_likeness(
    cases: Sequence[tuple[float, float | None]], *, absent: bool, usual: float | None = None
) -> list[float]:
    """Presence for pairs of mean confidence and similarity; None: there is no first frame."""
    mask = torch.zeros(1, 8, 12)
    mask[:, 2:4, 2:4] = 1
    x = torch.zeros(1, 2, 4, 6)
    x[:, :, 1, 1] = torch.tensor([1.0, 0.0])  # the only cell under the mask
    first = describe_first(x, mask, torch.zeros(1, 3, 4, 6))[0]
    scene = x.mean(dim=(2, 3))[0]
    seen = x.repeat(len(cases), 1, 1, 1)
    for each, (_, likeness) in zip(seen, cases, strict=True):
        cosine = 1.0 if likeness is None else likeness
        each[:, 1, 1] = scene + torch.tensor([cosine, (1 - cosine**2) ** 0.5])
    logits = torch.cat([torch.where(mask > 0, logit(mean), -20.0) for mean, _ in cases])
    firsts = [None if likeness is None else first for _, likeness in cases]
    usuals = [None if usual is None else torch.tensor(usual)] * len(cases)
    return judged(
        logits, [absent] * len(cases), config=BY_LIKENESS, x=seen, firsts=firsts, usuals=usuals
    )


def test_an_unsure_object_stays_visible_if_it_looks_like_the_first_frame() -> None:
    cases = [(0.7, 0.6), (0.7, 0.4), (0.5001, 0.95), (0.95, 0.3), (0.95, 0.2), (0.7, None)]
    found = judged_by_likeness(cases, absent=False)
    expected = [
        0.5 + 0.5 * 0.1 / 0.5,  # 0.6 is 0.1 above 0.5
        0.5 * 0.7 / 0.8,  # the larger one of this and 0.5 · 0.4 / 0.5
        0.5 * 0.5001 / 0.55,  # too unsure, whatever it looks like
        0.5 + 0.5 * 0.05 / 0.75,  # sure, and not quite unlike
        0.5 * 0.2 / 0.25,  # sure, but unlike
        0.5 + 0.5 * 0.15 / 0.45,  # not compared: only a confidence below 0.55 counts
    ]
    assert found == pytest.approx(expected, abs=1e-4)


def test_an_absent_object_returns_only_if_it_looks_like_the_first_frame() -> None:
    cases = [(0.94, 0.8), (0.94, 0.4), (0.85, 0.9), (0.94, -0.5), (0.94, None)]
    found = judged_by_likeness(cases, absent=True)
    expected = [0.75, 0.5 * 0.4 / 0.5, 0.5 * 0.85 / 0.88, 0.0, 0.75]
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("absent", [False, True])
def test_an_object_whose_likeness_drops_is_absent_although_it_is_sure(absent: bool) -> None:
    cases = [(0.97, 0.71), (0.97, 0.6), (0.97, 0.9)]
    found = judged_by_likeness(cases, absent=absent, usual=0.9)
    # 0.7 is the limit; 0.71 is 0.01 above it; 0.9 is bound by the confidence, 0.97
    above = (0.97 - 0.88) / 0.12 if absent else 0.4 / 0.5
    expected = [0.5 + 0.5 * 0.01 / 0.3, 0.5 * 0.6 / 0.7, 0.5 + 0.5 * min(above, 0.2 / 0.3)]
    assert found == pytest.approx(expected, abs=1e-3)


def test_the_usual_likeness_follows_visible_frames_and_starts_anew_at_a_correction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    likenesses = iter([0.9, 0.7, 0.2, 0.8])
    presences = iter([0.9, 0.9, 0.1, 0.9])

    def judge(self: PresenceRule, targets: Sequence[Target], *_: Any) -> Sequence[Judgement]:
        values = next(presences), 0.9, next(likenesses)
        return [Judgement(*(torch.tensor(value) for value in values))]

    monkeypatch.setattr(PresenceRule, "judge", judge)
    segmenter = build(replace(TINY, crop=replace(TINY.crop, minimum_mass=1e-3)), None)
    state, _ = segmenter.step(segmenter.start(), frame(0), {1: square(10, 20)})
    usual = []
    for index in range(1, 5):
        state, _ = segmenter.step(state, frame(index))
        (target,) = state.targets
        assert target.usual_likeness is not None
        usual.append(float(target.usual_likeness))
    assert usual == pytest.approx([0.9, 0.82, 0.82, 0.812])  # 0.4 of the newest; absent: kept
    state, _ = segmenter.step(state, frame(5), {1: square(10, 20)})
    assert state.targets[0].usual_likeness is None


def test_others_get_the_pixels_of_an_absent_object() -> None:
    logits = 4 * torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0))
    maps, areas = list(logits), [None] * 3
    merged = merge_maps(maps, areas, torch.tensor([True, False, True]))
    assert torch.equal(merged[[0, 2]], aggregate_logits(logits[[0, 2]])[1:])
    assert not merged[1].any()
    every = merge_maps(maps, areas, torch.ones(3, dtype=torch.bool))
    assert torch.equal(every, aggregate_logits(logits)[1:])


# --- in the segmenter


def frame(seed: int) -> Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(seed))


def square(top: int, left: int, side: int = 9) -> Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def run(
    segmenter: LWLSegmenter, prompts: dict[int, dict[int, Any]], frames: int = 4
) -> tuple[list[LWLState], list[ObjectMasks]]:
    states, found = [segmenter.start()], []
    for t in range(frames):
        state, masks = segmenter.step(states[-1], frame(t), prompts.get(t, {}))
        states.append(state)
        found.append(masks)
    return states, found


def scripted(
    monkeypatch: pytest.MonkeyPatch,
    presences: Sequence[Sequence[float]],
    confidences: Sequence[float] = (),
) -> list[list[bool]]:
    """Let the rule find these presences, frame by frame; returns who was absent before.

    The confidence is 0.5, or that of the frame.
    """
    asked: list[list[bool]] = []
    script: Iterator[Sequence[float]] = iter(presences)

    confident = iter(confidences or [0.5] * len(presences))

    def judge(self: PresenceRule, targets: Sequence[Target], *_: Any) -> Sequence[Judgement]:
        asked.append([target.absent_frames > 0 for target in targets])
        confidence = torch.tensor(next(confident))
        return [Judgement(each, confidence) for each in torch.tensor(next(script))]

    monkeypatch.setattr(PresenceRule, "judge", judge)
    return asked


def test_an_absent_object_is_not_learnt_but_remembered_three_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = [[0.9], [0.2], [0.4], [0.1], [0.3], [0.1], [0.8], [0.1]]
    asked = scripted(monkeypatch, script)
    config = replace(TINY, crop=replace(TINY.crop, minimum_mass=1e-3))
    states, found = run(build(config, None), {0: {1: square(10, 20)}}, frames=9)
    assert [float(masks.presence[0]) for masks in found if masks.presence is not None] == (
        pytest.approx([1.0, 0.9, 0.2, 0.4, 0.1, 0.3, 0.1, 0.8, 0.1])
    )
    assert [bool(masks.probs.any()) for masks in found] == [True] * 2 + [False] * 5 + [True, False]
    targets = [state.targets[0] for state in states[1:]]
    assert [t.absent_frames for t in targets] == [0, 0, 1, 2, 3, 4, 5, 0, 1]
    assert [one for (one,) in asked] == [False, False, True, True, True, True, True, False]
    assert [len(t.memory.absences) for t in targets] == [0, 0, 0, 1, 2, 3, 3, 3, 3]
    assert [len(t.memory.slots) for t in targets] == [1, 1, 2, 2, 2, 2, 2, 2, 3]
    assert not any(slot.annotated for slot in targets[-1].memory.absences)
    assert len({t.view for t in targets[2:7]}) == 1  # it is looked for where it was
    nothing = build(TINY, None).network.label_encoder(torch.zeros(1, *TINY.crop.size))
    for slot in targets[-1].memory.absences:
        torch.testing.assert_close(slot.label, nothing.label[0].movedim(0, -1))


def test_an_absent_frame_is_remembered_only_if_its_mask_is_unsure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # only the first three frames of the absence count; of these the second one is unsure
    scripted(monkeypatch, [[0.9], [0.2], [0.2], [0.2], [0.2]], [0.9, 0.7, 0.5, 0.7, 0.3])
    states, _ = run(build(TINY, None), {0: {1: square(10, 20)}}, frames=6)
    counts = [len(state.targets[0].memory.absences) for state in states[1:]]
    assert counts == [0, 0, 0, 0, 1, 1]


def test_a_mark_and_a_mask_say_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scripted(monkeypatch, [[0.9, 0.9], [0.8], [0.6, 0.7], [0.2], [0.9, 0.3]])
    prompts: dict[int, dict[int, Any]] = {0: {1: square(2, 2), 2: square(20, 30)}}
    prompts |= {2: {1: ABSENT}, 4: {2: square(20, 30)}}
    states, found = run(build(TINY, None), prompts, frames=6)
    presence = [masks.presence.tolist() for masks in found if masks.presence is not None]
    assert presence == [
        pytest.approx(each)
        for each in ([1, 1], [0.9, 0.9], [0, 0.8], [0.6, 0.7], [0.2, 1], [0.9, 0.3])
    ]
    assert asked == [[False] * 2, [False], [True, False], [False], [True, False]]
    assert [t.absent_frames for t in states[3].targets] == [1, 0]


def test_a_frame_is_learnt_on_the_next_due_one_if_none_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, [[0.9], [0.1], [0.1]])
    config = replace(TINY, learner=replace(TINY.learner, update_every=3))
    config = replace(
        config,
        presence=replace(BY_CONFIDENCE, remembered=0),
        crop=replace(TINY.crop, minimum_mass=1e-3),
    )
    states, _ = run(build(config, None), {0: {1: square(10, 20)}}, frames=4)
    targets = [state.targets[0] for state in states[1:]]
    assert [t.unlearnt for t in targets] == [False, False, True, False]
    assert targets[3].memory is targets[2].memory  # nothing is remembered on frame 3
    assert not torch.equal(targets[3].tau, targets[2].tau)  # but it is due


def test_an_object_too_small_to_be_followed_is_not_remembered() -> None:
    config = replace(TINY, crop=replace(TINY.crop, minimum_mass=1e9))
    rule = replace(BY_CONFIDENCE, thresholds=(1e-6, 1e-6))
    states, _ = run(build(replace(config, presence=rule), None), {0: {1: square(10, 20)}})
    assert states[-1].targets[0].latest is None
    assert len(states[-1].targets[0].memory.slots) == 1


def test_an_absent_object_is_found_elsewhere_if_it_is_searched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # from frame 3 on there are two views: the one in which it was lost, and another one
    script = [[0.9, 0.9], [0.2, 0.8], [0.3, 0.9, 0.4], [0.1, 0.7, 0.8]]
    asked = scripted(monkeypatch, script)
    config = replace(TINY, presence=replace(BY_CONFIDENCE, search="frame"))
    prompts = {0: {4: square(2, 2), 9: square(20, 30)}}
    states, found = run(build(config, None), prompts, frames=5)
    assert asked == [[False] * 2, [False] * 2, [True, False, True], [True, False, True]]
    presence = [masks.presence.tolist() for masks in found if masks.presence is not None]
    assert presence[3] == pytest.approx([0.3, 0.9])  # not sure enough elsewhere
    assert presence[4] == pytest.approx([0.8, 0.7])
    lost, back = states[4].targets[0], states[5].targets[0]
    assert lost.object_id == back.object_id == 4
    assert lost.view == states[3].targets[0].view
    assert back.absent_frames == 0
    assert found[4].probs[0].any() and not found[3].probs[0].any()


def test_states_of_absent_objects_go_on_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    segmenter = build(TINY, None)
    script = [[0.9], [0.2], [0.4], [0.8]]
    scripted(monkeypatch, script)
    states, found = run(segmenter, {0: {1: square(10, 20)}}, frames=5)
    for last in (2, 3):
        save_state(states[last + 1], tmp_path / "state.safetensors")
        state = load_state(tmp_path / "state.safetensors", LWLState)
        scripted(monkeypatch, script[last:])
        for t in range(last + 1, 5):
            state, masks = segmenter.step(state, frame(t))
            assert torch.equal(masks.probs, found[t].probs)


def test_the_head_judges_what_the_decoder_has_seen() -> None:
    network = replace(tiny().network, presence_head=True)
    config = replace(tiny(), network=network, presence=PresenceConfig(rule="head"))
    segmenter = build(config, None)
    seen: list[Evidence] = []
    head = segmenter.network.presence_head
    assert head is not None
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    states, found = run(segmenter, {0: {1: square(10, 20), 2: square(20, 30)}}, frames=2)
    (evidence,) = seen
    assert evidence.z3.shape[1:] == (8, 4, 6) and evidence.z1.shape[1:] == (8, 16, 24)
    decoded = segmenter.network.decoder.decode(
        evidence.scores, segmenter._look(frame(1), patches_of(segmenter, states[2])).taps, (64, 96)
    )
    torch.testing.assert_close(evidence.logits, decoded.logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(evidence.z1, decoded.states[3], rtol=0, atol=1e-4)
    first = torch.stack([target.first for target in states[1].targets if target.first is not None])
    assert torch.equal(evidence.first, first)
    expected = head(evidence).visible.sigmoid()
    assert found[1].presence is not None
    torch.testing.assert_close(found[1].presence, expected)  # thresholds of 0.5 change nothing


def patches_of(segmenter: LWLSegmenter, state: LWLState) -> list[Any]:
    crop = segmenter.config.crop
    return [view_patch(t.view, SIZE, crop, segmenter._half_stride) for t in state.targets]


def test_without_a_rule_nothing_is_judged_and_absences_cost_nothing_later() -> None:
    states, found = run(build(tiny(), None), {0: {1: square(10, 20)}, 1: {1: ABSENT}})
    assert all(masks.presence is None for masks in found)
    assert states[-1].targets[0].absent_frames == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"thresholds": (0.9, 0.8)},
        {"head_thresholds": (0.5, 1.0)},
        {"likeness_from": 1.0},
        {"certain_below": (0.6, 0.0)},
        {"remembered": -1},
        {"remembered_up_to": 1.1},
    ],
)
def test_thresholds_out_of_range_or_order_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PresenceConfig(**wrong)


@pytest.mark.parametrize("rule", ["head", "head-and-likeness"])
def test_a_rule_with_the_head_needs_a_head(rule: Any) -> None:
    with pytest.raises(ConfigError, match=f"{rule} needs a network with a presence head"):
        LWLConfig(presence=PresenceConfig(rule=rule))


@pytest.mark.parametrize(
    ("by_head", "was_absent", "expected"),
    [
        (0.2, False, 0.5 + 0.5 * 0.4 / 0.45),
        (0.97, False, 0.97),
        (0.9, True, 0.5 + 0.5 * 0.07 / 0.12),
    ],
)
def test_head_and_likeness_must_agree_on_a_change(
    monkeypatch: pytest.MonkeyPatch, by_head: float, was_absent: bool, expected: float
) -> None:
    network = replace(tiny().network, presence_head=True)
    segmenter = build(replace(tiny(), network=network), None)
    head = segmenter.network.presence_head
    assert head is not None
    monkeypatch.setattr(
        head, "forward", lambda _: Presence(torch.tensor([logit(by_head)]), torch.zeros(1))
    )
    config = PresenceConfig(rule="head-and-likeness")
    rule = PresenceRule(config, head, 100.0)
    before = run(segmenter, {0: {1: square(10, 20)}}, frames=1)[0][-1].targets[0]
    target = replace(before, absent_frames=int(was_absent))  # without a first frame: all is alike
    states = [torch.zeros(1)] * 4
    x, scores = torch.zeros(1, 16, 4, 6), torch.zeros(1, 4, 4, 6)
    (found,) = rule.judge([target], Decoded(crops(0.95), states), x, scores)
    assert found is not None
    assert float(found.presence) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("config", [LWLConfig(), LWLTrainingConfig()])
def test_new_settings_take_no_short_name_away(config: Any) -> None:
    names = [setting.name for setting in settings_of(config)]
    new = [setting.name for setting in settings_of(PresenceConfig())] + ["absent_share"]
    assert hasattr(MemoryConfig(), "absent_share")
    for name in new:
        assert [known.rpartition(".")[2] for known in names].count(name) == 1


def whole_search(
    monkeypatch: pytest.MonkeyPatch, presences: Sequence[tuple[float, float]]
) -> list[list[View]]:
    """Let the rule find an object in its view and in the last other one; returns all views."""
    views: list[list[View]] = []
    script = iter(presences)

    def judge(self: PresenceRule, targets: Sequence[Target], *_: Any) -> Sequence[Judgement]:
        views.append([target.view for target in targets])
        here, last = next(script)
        found = [here, *[0.1] * (len(targets) - 2), *([last] if len(targets) > 1 else [])]
        return [Judgement(each, torch.tensor(0.5)) for each in torch.tensor(found)]

    monkeypatch.setattr(PresenceRule, "judge", judge)
    return views


def test_after_a_cut_an_object_is_searched_for_in_the_whole_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenter = build(replace(TINY, crop=replace(TINY.crop, minimum_mass=1e-3)), None)
    state, _ = segmenter.step(segmenter.start(), frame(0), {1: square(10, 20, side=3)})
    # frame 1; the first frame of the new shot; the next one; found there; in its view again
    script = [(0.9, 0.1), (0.3, 0.2), (0.1, 0.2), (0.3, 0.8), (0.9, 0.1)]
    views = whole_search(monkeypatch, script)
    state, _ = segmenter.step(state, frame(1))
    (before,) = state.targets
    cut = segmenter.after_cut(state)
    (target,) = cut.targets
    assert (target.absent_frames, target.everywhere, target.latest) == (1, True, None)
    assert len(target.memory.slots) == len(before.memory.slots) + 1  # not taken for an absence
    assert before.latest is not None and not before.everywhere
    states, found = [cut], []
    for t in range(2, 6):
        after, masks = segmenter.step(states[-1], frame(t))
        states.append(after)
        found.append(bool(masks.probs.any()))
    assert [len(each) for each in views][:1] + [len(each) for each in views][2:] == [1, 2, 2, 1]
    usual, *others = views[1]
    assert others == search_views(usual, SIZE, TINY.crop.size) and len(others) > 2
    assert found == [False, False, True, True]
    assert [state.targets[0].absent_frames for state in states[1:]] == [2, 3, 0, 0]
    assert [state.targets[0].everywhere for state in states[1:]] == [True, True, False, False]


def test_after_a_cut_an_object_can_be_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = build(TINY, None)
    state, _ = segmenter.step(segmenter.start(), frame(0), {1: square(2, 2)})
    whole_search(monkeypatch, [(0.2, 0.9)])
    state, masks = segmenter.step(segmenter.after_cut(state), frame(1))
    assert masks.presence is not None and float(masks.presence[0]) == pytest.approx(0.9)
    assert state.targets[0].absent_frames == 0 and not state.targets[0].everywhere


def test_without_a_rule_a_cut_changes_nothing() -> None:
    segmenter = build(replace(TINY, presence=PresenceConfig()), None)
    assert isinstance(segmenter, SearchesNewShots)
    state, _ = segmenter.step(segmenter.start(), frame(0), {1: square(2, 2)})
    assert segmenter.after_cut(state) is state
