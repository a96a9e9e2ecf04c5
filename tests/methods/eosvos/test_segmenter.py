"""Videos object by object: rounds, resets, boxes handed on, corrections, late objects."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.core.errors import ConfigError, PromptError
from maskcast.core.randomness import generator_of
from maskcast.core.types import Box
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.method import build
from maskcast.methods.eosvos.network import Detection
from maskcast.methods.eosvos.object_model import ObjectModel
from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter

from . import small

CPU = torch.device("cpu")
FRAMES = [small.frame(seed) for seed in range(6)]


def model_of(config, **named):
    network = small.network(**{"sampled_anchors": 16, "sampled_regions": 8})
    learned = learned_start_of(network, generator=generator_of(0), initial_rate=0.02)
    return ObjectModel(config, learned, device=CPU, **named)


def run(segmenter, prompts, count=6):
    """States after each frame, and the masks found on them."""
    state, states, found = segmenter.start(), [], []
    for index in range(count):
        state, masks = segmenter.step(state, FRAMES[index], prompts.get(index, {}))
        states.append(state)
        found.append(masks)
    return states, found


def maps_of(states, object_id):
    return [s.objects[object_id].map for s in states if object_id in s.objects]


class Recorder:
    """Stands in for the model: weights count the steps taken, every frame is found as drawn."""

    def __init__(self, lost=()):
        self.lost = lost
        self.tuned = []
        self.boxes = []

    def fine_tune(self, weights, frames, *, steps, seed, augment=False, what=""):
        self.tuned.append(
            {
                "from": weights,
                "frames": len(frames),
                "steps": steps,
                "seed": seed,
                "augment": augment,
            }
        )
        return torch.tensor([float(weights or 0) + steps])

    def detect(self, weights, frame, box, *, seed):
        self.boxes.append(box)
        probs = torch.zeros(small.SIZE)
        probs[2:5, 3:9] = 0.1 if len(self.boxes) in self.lost else 0.8
        return Detection(probs, torch.tensor([1.0, 2.0, 30.0, 31.0]), 0.8)


def recorded(prompts, **settings):
    recorder = Recorder()
    segmenter = EOSVOSSegmenter(small.method(**settings), recorder, CPU)
    return recorder, *run(segmenter, prompts)


def test_objects_do_not_depend_on_each_other():
    config = small.method()
    other = torch.zeros(small.SIZE, dtype=torch.bool)
    other[32:38, 2:8] = True
    alone, _ = run(EOSVOSSegmenter(config, model_of(config), CPU), {0: {1: small.mask()}})
    together, _ = run(
        EOSVOSSegmenter(config, model_of(config), CPU), {0: {1: small.mask()}, 1: {2: other}}
    )
    for one, two in zip(maps_of(alone, 1), maps_of(together, 1), strict=True):
        assert torch.equal(one, two)


def test_networks_kept_ready_change_nothing():
    other = torch.zeros(small.SIZE, dtype=torch.bool)
    other[32:38, 2:8] = True
    prompts = {0: {1: small.mask(), 2: other}}
    found = []
    for count in (1, 2):
        config = small.method(objects_at_once=count)
        segmenter = EOSVOSSegmenter(config, model_of(config), CPU)
        before = torch.get_rng_state()
        found.append(run(segmenter, prompts)[1])
        assert torch.equal(torch.get_rng_state(), before)  # a second network draws nothing
    for one, two in zip(*found, strict=True):
        assert torch.equal(one.probs, two.probs)


def test_no_steps_give_the_predictions_of_the_learned_start():
    config = small.method(inner_steps=0, online_adaptation=False, propagation="off")
    model = model_of(config)
    _, found = run(EOSVOSSegmenter(config, model, CPU), {0: {1: small.mask()}}, 2)
    network = small.network(sampled_anchors=16, sampled_regions=8)
    expected = network.detect(FRAMES[1], propagation="off").probs
    assert torch.equal(found[1].probs[0] >= 0.5, expected >= 0.5)


def test_a_video_leaves_the_learned_start_alone():
    config = small.method()
    model = model_of(config)
    before = {name: value.clone() for name, value in model.learned.state_dict().items()}
    run(EOSVOSSegmenter(config, model, CPU), {0: {1: small.mask()}})
    for name, value in model.learned.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_state_keeps_the_weights_of_an_object_once():
    config = small.method()
    states, _ = run(EOSVOSSegmenter(config, model_of(config), CPU), {0: {1: small.mask()}})
    parameters = small.network().published_parameters().values()
    last = states[-1].objects[1]
    assert last.base.numel() == sum(p.numel() for p in parameters)
    assert last.round is not None  # adapted, and yet
    assert last.base is states[0].objects[1].base


def test_a_round_run_again_gives_the_same_bits():
    config = small.method()
    model = model_of(config)
    segmenter = EOSVOSSegmenter(config, model, CPU)
    states, found = run(segmenter, {0: {1: small.mask()}})
    again = EOSVOSSegmenter(config, model_of(config), CPU)  # remembers no round
    _, masks = again.step(states[-2], FRAMES[-1])
    assert torch.equal(masks.probs, found[-1].probs)


def test_only_the_last_rounds_stay_in_memory_and_old_ones_are_run_again():
    config = small.method(adaptation_interval=1, rounds_kept=2)
    model = model_of(config)
    segmenter = EOSVOSSegmenter(config, model, CPU)
    states, found = run(segmenter, {0: {1: small.mask()}})
    assert len(segmenter._adapted) == 2
    _, again = segmenter.step(states[1], FRAMES[2])
    assert torch.equal(again.probs, found[2].probs)


@pytest.mark.parametrize(
    ("reset", "bases"),
    [("first_step", [None, 7.0, 7.0]), ("full", [None, None, None]), ("keep", [None, 7.0, 8.0])],
)
def test_where_a_round_begins(reset, bases):
    recorder, *_ = recorded(
        {0: {1: small.mask()}}, inner_steps=7, adaptation_interval=2, adaptation_reset=reset
    )
    assert [None if t["from"] is None else float(t["from"]) for t in recorder.tuned] == bases
    assert [t["seed"] for t in recorder.tuned] == [1, 2, 3]


def test_without_adaptation_there_is_one_fine_tuning():
    recorder, *_ = recorded({0: {1: small.mask()}}, online_adaptation=False, inner_batch=3)
    assert [(t["frames"], t["steps"]) for t in recorder.tuned] == [(3, 2)]


def test_spatial_augmentation_is_for_the_first_frame_only():
    recorder, *_ = recorded({0: {1: small.mask()}}, spatial_augmentation=True)
    assert [t["augment"] for t in recorder.tuned] == [True, False]


@pytest.mark.parametrize(
    ("propagated", "box"), [("mask", (3, 2, 9, 5)), ("detection", (1, 2, 30, 31))]
)
def test_which_box_is_handed_on(propagated, box):
    recorder, *_ = recorded({0: {1: small.mask()}}, propagated_box=propagated)
    assert recorder.boxes[0] == (10, 8, 34, 28)
    assert recorder.boxes[1] == box


def test_a_lost_object_is_looked_for_where_its_range_of_frames_began():
    """With adaptation every two frames; found on frame 1, lost on 2 and 3, found on 4."""
    recorder = Recorder(lost=(2, 3))
    config = small.method(adaptation_interval=3, adaptation_steps=1)
    run(EOSVOSSegmenter(config, recorder, CPU), {0: {1: small.mask()}})
    given, found = (10, 8, 34, 28), (3, 2, 9, 5)
    # frame 4 opens a range with an empty mask: no box; frame 5 follows 4
    assert recorder.boxes == [given, found, given, None, found]
    recorder = Recorder(lost=(2, 3))
    run(
        EOSVOSSegmenter(small.method(online_adaptation=False), recorder, CPU),
        {0: {1: small.mask()}},
    )
    assert recorder.boxes == [given, found, given, given, found]


def test_a_correction_is_learned_from_at_once_and_ever_after():
    corrected = torch.zeros(small.SIZE, dtype=torch.bool)
    corrected[20:24, 40:50] = True
    recorder, states, found = recorded(
        {0: {1: small.mask()}, 2: {1: corrected}}, adaptation_interval=3, adaptation_steps=4
    )
    rounds = [(t["frames"], t["steps"]) for t in recorder.tuned]
    assert rounds == [(1, 2), (2, 4), (2, 4)]  # first frame; both; both again in the next round
    assert torch.equal(found[2].probs[0] == 1, corrected)
    assert recorder.boxes[1] == (40, 20, 50, 24)  # the frame after the correction
    assert len(states[-1].objects[1].given) == 2


def test_an_object_that_is_given_late_or_on_the_last_frame_is_returned_as_given():
    _, _, found = recorded({5: {4: small.mask()}})
    assert [masks.ids for masks in found] == [()] * 5 + [(4,)]
    assert torch.equal(found[5].probs[0], small.mask().float())


def test_late_objects_as_published_lose_map_and_box_of_their_first_frame():
    late = torch.zeros(small.SIZE, dtype=torch.bool)
    late[30:36, 2:9] = True
    prompts = {0: {1: small.mask()}, 2: {2: late}}
    plain, _, found = recorded(prompts)
    assert torch.equal(found[2].probs[1] == 1, late)
    assert plain.boxes.count((2, 30, 9, 36)) == 1  # looked at on the frame after it
    legacy, states, found = recorded(prompts, legacy_late_objects=True)
    assert not states[2].objects[2].map.any() and not found[2].probs[1].any()
    assert legacy.boxes[:4] == [*plain.boxes[:3], None]
    assert legacy.tuned == plain.tuned  # from the right mask all the same
    early, _, found = recorded({2: {2: late}}, legacy_late_objects=True)
    assert early.boxes[0] == (2, 30, 9, 36) and torch.equal(found[2].probs[0] == 1, late)


def test_progress_tells_of_every_step():
    told = []
    config = small.method(inner_steps=3, online_adaptation=False)
    model = model_of(config, progress=lambda *now: told.append(now))
    run(EOSVOSSegmenter(config, model, CPU), {0: {5: small.mask()}}, 1)
    assert told == [("fine-tuning on object 5", n, 3) for n in (1, 2, 3)]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_fine_tunes_whatever_gradient_mode_the_caller_is_in(mode):
    config = small.method()
    _, plain = run(EOSVOSSegmenter(config, model_of(config), CPU), {0: {1: small.mask()}}, 5)
    segmenter = EOSVOSSegmenter(config, model_of(config), CPU)
    with mode():
        frames = [frame.clone() for frame in FRAMES]
        state = segmenter.start()
        for index in range(5):
            prompts = {1: small.mask().clone()} if index == 0 else {}
            state, found = segmenter.step(state, frames[index], prompts)
    assert torch.equal(found.probs, plain[-1].probs)


def test_lower_precision_is_for_inference_alone():
    bases, maps = [], []
    for dtype in (torch.float32, torch.bfloat16):
        config = small.method(online_adaptation=False)
        segmenter = EOSVOSSegmenter(config, model_of(config, dtype=dtype), CPU)
        states, _ = run(segmenter, {0: {1: small.mask()}}, 2)
        bases.append(states[0].objects[1].base)
        maps.append(states[1].objects[1].map)
    assert torch.equal(bases[0], bases[1])
    assert maps[1].dtype == torch.float32
    assert not torch.equal(maps[0], maps[1])


def test_fine_tuning_in_lower_precision_is_refused_on_a_cpu():
    with pytest.raises(ConfigError, match="is not supported on the CPU"):
        model_of(small.method(autocast_fine_tuning=True), dtype=torch.bfloat16)


def test_removed_objects_are_forgotten():
    segmenter = EOSVOSSegmenter(small.method(), Recorder(), CPU)
    states, _ = run(segmenter, {0: {1: small.mask()}}, 1)
    state = segmenter.remove_objects(states[0], [1, 9])
    assert not segmenter.step(state, FRAMES[1])[1].ids
    assert states[0].objects


def test_a_box_is_refused_with_advice():
    segmenter = EOSVOSSegmenter(small.method(), Recorder(), CPU)
    with pytest.raises(PromptError, match="converts boxes to masks"):
        segmenter.step(segmenter.start(), FRAMES[0], {1: Box(1, 1, 5, 5)})


@pytest.mark.parametrize(
    "change",
    [
        {"inner_steps": 1},
        {"inner_batch": 2},
        {"spatial_augmentation": True},
        {"propagation": "off"},
        {"propagation": "replace"},
        {"adaptation_reset": "full"},
        {"online_adaptation": False},
        {"seed": 5},
    ],
)
def test_every_switch_at_test_time_has_its_effect(change):
    """Probabilities of the last frame differ from those of the plain run."""
    plain = small.method(inner_steps=3, adaptation_steps=2)
    last = []
    for config in (plain, replace(plain, **change)):
        _, found = run(EOSVOSSegmenter(config, model_of(config), CPU), {0: {1: small.mask()}})
        last.append(found[-1].probs)
    assert not torch.equal(*last)


def test_built_without_weights_it_is_the_same_every_time():
    config = small.method()
    first, second = (build(config, None, device=CPU) for _ in range(2))
    _, one = run(first, {0: {1: small.mask()}}, 3)
    _, two = run(second, {0: {1: small.mask()}}, 3)
    assert torch.equal(one[-1].probs, two[-1].probs)
