"""Objects that are not on a frame: marked by a person, or recognised by the score of a box."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from maskcast.core.errors import ConfigError
from maskcast.core.randomness import generator_of, seeded
from maskcast.core.state import load_state, save_state
from maskcast.core.types import ABSENT
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import gradients_of, learned_start_of
from maskcast.methods.eosvos.network import Detection
from maskcast.methods.eosvos.object_model import ObjectModel
from maskcast.methods.eosvos.online_adaptation import AnnotatedFrame
from maskcast.methods.eosvos.presence_config import PresenceConfig
from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter, EOSVOSState
from maskcast.methods.eosvos.targets import make_empty_target, make_target

from . import small

CPU = torch.device("cpu")
GIVEN, FOUND, FAR = (10, 8, 34, 28), (3, 2, 9, 5), (20, 30, 29, 33)
ON = PresenceConfig(rule="confidence", thresholds=(0.7, 0.85))


class Recorder:
    """Stands in for the model: notes the frames of every fine-tuning, finds one rectangle.

    Args:
        scores: of the detections, in order; the last one repeats.
        values: probability inside the rectangle, likewise.
    """

    def __init__(self, scores=(0.9,), values=(0.8,)):
        self.scores = list(scores)
        self.values = list(values)
        self.tuned = []
        self.boxes = []

    def fine_tune(self, weights, frames, *, steps, seed, augment=False, what=""):
        self.tuned.append([int(frame.mask.sum()) for frame in frames])
        return torch.zeros(1)

    def detect(self, weights, frame, box, *, seed):
        number = len(self.boxes)
        self.boxes.append(box)
        probs = torch.zeros(small.SIZE)
        probs[2:5, 3:9] = self.values[min(number, len(self.values) - 1)]
        score = self.scores[min(number, len(self.scores) - 1)]
        return Detection(probs, torch.tensor([1.0, 2.0, 30.0, 31.0]), score)


def run(recorder, prompts, count=6, **settings):
    """States and masks of a video with these prompts by frame."""
    segmenter = EOSVOSSegmenter(small.method(**settings), recorder, CPU)
    state, states, found = segmenter.start(), [], []
    for index in range(count):
        state, masks = segmenter.step(state, small.frame(index), prompts.get(index, {}))
        states.append(state)
        found.append(masks)
    return states, found


def far():
    mask = torch.zeros(small.SIZE, dtype=torch.bool)
    mask[30:33, 20:29] = True
    return mask


def test_rounds_learn_that_the_object_is_absent_from_a_marked_frame():
    """With adaptation every three frames, which also learns from the frame before it."""
    recorder = Recorder()
    marks = {0: {1: small.mask()}, 2: {1: ABSENT}, 3: {1: ABSENT}, 6: {1: far()}}
    states, found = run(recorder, marks, 9, adaptation_interval=3, inner_batch=2)
    given, empty, past, correction = 480, 0, 18, 27
    assert recorder.tuned == [
        [given, given],
        [given, empty],  # at once on frame 2; frame 3 goes on with these weights
        [given, empty],  # before frame 4; the frame to learn from, 2, has no object
        [given, correction, empty],  # on frame 6
        [given, correction, empty, past],  # before frame 7, with frame 5
    ]
    assert [bool(masks.probs.any()) for masks in found[:5]] == [True, True, False, False, True]
    assert all(masks.presence is None for masks in found)  # nothing is judged
    assert [len(state.objects[1].absences) for state in states[1:4]] == [0, 1, 1]
    assert states[3].objects[1].absences[0].frame.equal(small.frame(3))
    # it is looked for where it was last seen: on the first frame, and on frame 1
    assert recorder.boxes[:3] == [GIVEN, FOUND, FOUND]


def test_a_round_that_is_due_on_a_marked_frame_is_run_once():
    recorder = Recorder()
    marks = {0: {1: small.mask()}, 4: {1: ABSENT}}
    states, _ = run(recorder, marks, 6, adaptation_interval=3, inner_batch=2)
    assert recorder.tuned == [[480, 480], [480, 0, 18]]
    assert states[4].objects[1].start_box == FOUND
    assert states[4].objects[1].past == ()


def test_without_adaptation_a_mark_empties_its_frame_and_keeps_the_box():
    recorder = Recorder()
    marks = {0: {1: small.mask()}, 2: {1: ABSENT}, 3: {1: ABSENT}}
    states, found = run(recorder, marks, online_adaptation=False)
    assert len(recorder.tuned) == 1
    assert not found[2].probs.any() and not found[3].probs.any()
    assert recorder.boxes == [GIVEN, FOUND, FOUND]
    assert states[3].objects[1].absences == ()


def test_a_frame_without_the_object_has_background_alone():
    network = small.network()
    targets = [
        make_target(small.mask().to(torch.uint8)),
        make_empty_target(small.mask(1).to(torch.uint8)),
    ]
    batch = network.prepare([small.frame(0), small.frame(1)], targets)
    with_object, without = (network.draw_samples(batch[image]) for image in range(2))
    assert without.anchors[0].positive.numel() == 0
    assert without.anchors[0].negative.numel() > 0
    assert without.regions[0].labels.numel() > 0
    assert not without.regions[0].labels.any()
    assert with_object.regions[0].labels.any()


def model_with(**changes):
    learned = learned_start_of(small.network(), generator=generator_of(2), initial_rate=0.05)
    return learned, ObjectModel(
        small.method(network=small.config(), **changes), learned, device=CPU
    )


def test_a_step_on_a_frame_without_the_object_by_hand():
    learned, model = model_with()
    given = AnnotatedFrame(small.frame(0), small.mask(0))
    absent = AnnotatedFrame(small.frame(1), torch.zeros(small.SIZE, dtype=torch.bool))
    found = model.fine_tune(None, (given, absent), steps=1, seed=4)
    network = small.network(seed=5)
    learned.load_into(network)
    targets = [
        make_target(small.mask(0).to(torch.uint8)),
        make_empty_target(small.mask(1).to(torch.uint8)),
    ]
    loss = network.losses(network.prepare([given.frame, absent.frame], targets))["total"]
    gradients = torch.autograd.grad(loss, network.trained())
    pairs = zip(network.trained(), learned.rates(), gradients, strict=True)
    expected = torch.cat([(p - rate * gradient).flatten() for p, rate, gradient in pairs])
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-6)


def test_what_is_learnt_from_an_absence_lowers_the_score_there():
    _, model = model_with()
    given = AnnotatedFrame(small.frame(0), small.mask(0))
    absent = AnnotatedFrame(small.frame(1), torch.zeros(small.SIZE, dtype=torch.bool))
    scores = []
    for frames in ((given,), (given, absent)):
        weights = model.fine_tune(None, frames, steps=8, seed=4)
        scores.append(model.detect(weights, small.frame(1), None, seed=(1, 1)).score)
    assert scores[1] < scores[0]


def test_frames_without_the_object_may_be_learnt_image_by_image():
    network = small.network()
    targets = [
        make_target(small.mask().to(torch.uint8)),
        make_empty_target(small.mask(1).to(torch.uint8)),
    ]
    batch = network.prepare([small.frame(0), small.frame(1)], targets)
    results = []
    for micro_batches in (False, True):
        with seeded(3):
            results.append(gradients_of(network, batch, micro_batches=micro_batches))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_an_unsure_object_is_absent_until_its_score_is_high_enough():
    scores = [0.75, 0.65, 0.75, 0.84, 0.86, 0.75]
    recorder = Recorder(scores)
    states, found = run(
        recorder, {0: {1: small.mask()}}, 7, presence=ON, adaptation_interval=2, inner_batch=2
    )
    visible = [bool(masks.probs.any()) for masks in found]
    assert visible == [True, True, False, False, False, True, True]
    presence = [masks.presence.item() for masks in found]
    expected = [
        1,  # given
        0.5 + 0.5 * 0.05 / 0.3,
        0.5 * 0.65 / 0.7,
        0.5 * 0.75 / 0.85,
        0.5 * 0.84 / 0.85,
        0.5 + 0.5 * 0.01 / 0.15,
        0.5 + 0.5 * 0.05 / 0.3,
    ]
    assert presence == pytest.approx(expected, rel=1e-6)
    # looked for where it was last seen, and learnt from where it was visible: frames 1 and 5
    assert recorder.boxes == [GIVEN, *[FOUND] * 5]
    assert recorder.tuned == [[480, 480], [480], [480]]
    assert [state.objects[1].presence < 0.5 for state in states] == [not seen for seen in visible]


def test_an_unsure_object_leaves_its_pixels_to_the_others():
    """Both objects are found in the same place; the second with half the probability."""
    prompts = {0: {1: small.mask(), 2: far()}}
    _, merged = run(Recorder((0.95,), (0.9, 0.55)), prompts, 2, presence=ON)
    assert merged[1].label_map()[3, 5] == 1
    _, found = run(Recorder((0.6, 0.95), (0.9, 0.55)), prompts, 2, presence=ON)
    assert not found[1].probs[0].any()
    assert found[1].label_map()[3, 5] == 2
    assert found[1].probs[1, 3, 5].item() == pytest.approx(0.55)
    assert found[1].presence.tolist() == pytest.approx([0.5 * 0.6 / 0.7, 0.5 + 0.5 * 0.25 / 0.3])


def test_a_box_without_a_mask_has_no_confidence():
    recorder = Recorder((0.95,), (0.4, 0.4, 0.8))
    states, found = run(recorder, {0: {1: small.mask()}}, 4, presence=ON)
    assert [masks.presence.item() > 0 for masks in found] == [True, False, False, True]
    assert not found[1].probs.any()
    assert recorder.boxes == [GIVEN] * 3
    assert states[1].objects[1].previous_box == GIVEN


def test_a_given_mask_ends_an_absence():
    recorder = Recorder((0.3, 0.75))
    prompts = {0: {1: small.mask()}, 2: {1: far()}}
    _, found = run(recorder, prompts, 4, presence=ON)
    assert [masks.presence.item() for masks in found] == pytest.approx(
        [1, 0.5 * 0.3 / 0.7, 1, 0.5 + 0.5 * 0.05 / 0.3]  # the first threshold holds again
    )
    assert recorder.boxes[1] == FAR


def test_recognition_changes_nothing_while_objects_are_sure():
    network = small.network(sampled_anchors=16, sampled_regions=8)
    results = []
    for presence in (PresenceConfig(), PresenceConfig(rule="confidence", thresholds=(1e-6, 1e-6))):
        config = small.method(presence=presence, mask_threshold=0.0)
        learned = learned_start_of(network, generator=generator_of(0), initial_rate=0.02)
        segmenter = EOSVOSSegmenter(config, ObjectModel(config, learned, device=CPU), CPU)
        state, masks = segmenter.step(segmenter.start(), small.frame(0), {1: small.mask()})
        found = []
        for index in range(1, 5):
            state, masks = segmenter.step(state, small.frame(index))
            found.append(masks)
        results.append(found)
    for off, on in zip(*results, strict=True):
        assert off.presence is None and on.presence.item() > 0.5
        assert on.probs.equal(off.probs)


def test_a_state_of_version_0_1_goes_on(tmp_path):
    config = small.method()
    learned = learned_start_of(
        small.network(sampled_anchors=16, sampled_regions=8), generator=generator_of(0)
    )
    segmenter = EOSVOSSegmenter(config, ObjectModel(config, learned, device=CPU), CPU)
    state, _ = segmenter.step(segmenter.start(), small.frame(0), {1: small.mask()})
    save_state(state, tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", "pt") as file:
        header = json.loads(file.metadata()["maskcast.state"])
    [[_, tracked]] = header["value"]["fields"]["objects"]["mapping"]
    for name in ("absences", "marked_absent", "presence"):
        del tracked["fields"][name]
    old = tmp_path / "old.safetensors"
    content = load_file(tmp_path / "new.safetensors")
    save_file(content, old, metadata={"maskcast.state": json.dumps(header)})
    _, expected = segmenter.step(state, small.frame(1), {1: ABSENT})
    _, found = segmenter.step(load_state(old, EOSVOSState), small.frame(1), {1: ABSENT})
    assert found.probs.equal(expected.probs)


def test_recognition_is_off_as_published_and_its_thresholds_are_in_order():
    assert EOSVOSConfig().presence.rule == "off"
    with pytest.raises(ConfigError, match=r"presence\.thresholds must go from low to high"):
        PresenceConfig(thresholds=(0.9, 0.8))
