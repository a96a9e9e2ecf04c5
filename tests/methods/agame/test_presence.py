"""Objects that are not on a frame: marked by a person, or recognised by their confidence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import softplus

from maskcast.core.errors import ConfigError, PromptError
from maskcast.core.state import load_state, save_state
from maskcast.core.types import ABSENT
from maskcast.methods.agame.aggregation import aggregate_probs
from maskcast.methods.agame.config import AgameConfig, PresenceConfig
from maskcast.methods.agame.framing import Padding, normalise
from maskcast.methods.agame.method import build
from maskcast.methods.agame.network import Prediction
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.segmenter import AgameSegmenter, AgameState

SIZE = (44, 60)
ON = PresenceConfig(rule="confidence", thresholds=(0.7, 0.85), remembered=2)


def segmenter(**settings: Any) -> AgameSegmenter:
    return build(replace(tiny(), **settings), None)


def frame(index: int) -> Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(index))


def mask(slot: int) -> Tensor:
    made = torch.zeros(SIZE, dtype=torch.bool)
    made[10 * slot : 10 * slot + 10, 5:40] = True
    return made


def begun(made: AgameSegmenter, *ids: int) -> AgameState:
    state, _ = made.step(made.start(), frame(0), {key: mask(key - 1) for key in ids})
    return state


def predicting(
    monkeypatch: pytest.MonkeyPatch, made: AgameSegmenter, *confidences: float
) -> list[float]:
    """Have the network paint the same mask for every object, each with its own probability.

    The returned list may be changed between steps.
    """
    values = list(confidences)

    def predict(features: Any, objects: Any) -> Prediction:
        assert len(objects) == len(values)
        rows, columns = objects.first_mask.shape[-2:]
        fine = torch.zeros(len(objects), 2, 16 * rows, 16 * columns)
        fine[:, 1] = -8
        logit = torch.tensor(values).logit()
        fine[:, 1, 10:30, 10:30] = logit[:, None, None]
        coarse = torch.zeros(len(objects), 2, rows, columns)
        return Prediction(None, coarse, fine)

    monkeypatch.setattr(made.network, "predict", predict)
    return values


def test_the_background_gaussian_of_an_absence_by_hand() -> None:
    made = segmenter()
    before = begun(made, 1, 2)
    after, found = made.step(before, frame(1), {2: ABSENT})
    assert found.presence is None  # nothing is judged
    assert not found.probs[1].any()
    assert after.absent_for == {2: 1}
    appearance = made.network.appearance
    assert appearance is not None and before.objects is not None and after.objects is not None
    padded = Padding(*SIZE).pad(normalise(frame(1)))[None]
    cells = appearance.project(made.network.features(padded).stride16)[0].double()
    mean = cells.sum(dim=0) / (len(cells) + 1)
    spread = (cells - mean).square().sum(dim=0) / (len(cells) + 1)
    variance = softplus(appearance.raw_floor[0].double()) + spread
    old, new = before.objects.mixture, after.objects.mixture
    assert old is not None and new is not None
    expected = 0.9 * old.means[1, 0].double() + 0.1 * mean
    torch.testing.assert_close(new.means[1, 0].double(), expected, rtol=1e-5, atol=1e-6)
    expected = 0.9 * old.variances[1, 0].double() + 0.1 * variance
    torch.testing.assert_close(new.variances[1, 0].double(), expected, rtol=1e-4, atol=1e-6)
    assert new.means[1, 1].equal(old.means[1, 1])  # how the object looks
    assert after.objects.previous_mask[1, 0].eq(1).all()
    assert after.objects.previous_mask[1, 1].eq(0).all()
    assert after.objects.first_mask.equal(before.objects.first_mask)


def test_pixels_of_an_absent_object_are_free_for_the_others() -> None:
    made = segmenter()
    state = begun(made, 1, 2)
    together, found = made.step(state, frame(1), {1: ABSENT})
    alone, expected = made.step(made.remove_objects(state, [1]), frame(1))
    assert found.probs[1:].equal(expected.probs)
    assert together.objects is not None and alone.objects is not None
    assert together.objects.previous_mask[1:].equal(alone.objects.previous_mask)


def test_absences_are_rejected_where_entry_frames_are_predicted() -> None:
    made = segmenter(entry_frame="predicted")
    with pytest.raises(PromptError, match=r"object 1 is marked absent; .* entry_frame=given"):
        made.step(begun(made, 1), frame(1), {1: ABSENT})


def test_absences_reach_the_network_where_frames_are_made_smaller() -> None:
    made = segmenter(working_side=22, presence=ON)
    state = begun(made, 1, 2)
    _, found = made.step(state, frame(1), {1: ABSENT})
    assert found.probs.shape == (2, *SIZE)
    assert not found.probs[0].any()
    assert found.presence is not None and found.presence[0] == 0


def test_an_unsure_object_leaves_its_pixels_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = segmenter(presence=ON)
    state = begun(made, 1, 2)
    predicting(monkeypatch, made, 0.6, 0.75)
    _, found = made.step(state, frame(1))
    presence = torch.tensor([0.5 * 0.6 / 0.7, 0.5 + 0.5 * 0.05 / 0.3])
    assert found.presence is not None
    torch.testing.assert_close(found.presence, presence)
    assert not found.probs[0].any()
    alone = aggregate_probs(torch.tensor([0.25, 0.75]).view(1, 2, 1, 1))[1, 0, 0]
    torch.testing.assert_close(found.probs[1, 15, 15], alone)  # as if object 1 did not exist
    assert (found.label_map() == 2)[10:25, 10:25].all()


def test_an_absent_object_is_looked_for_until_it_is_sure_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = segmenter(presence=ON)
    state = begun(made, 1)
    confidence = predicting(monkeypatch, made, 0.75)
    counts, visible, presences = [], [], []
    for index, value in enumerate([0.75, 0.65, 0.75, 0.84, 0.86, 0.75], start=1):
        confidence[0] = value
        state, found = made.step(state, frame(index))
        counts.append(state.absent_for.get(1, 0))
        visible.append(bool(found.probs.any()))
        assert found.presence is not None
        presences.append(round(found.presence.item(), 5))
    assert visible == [True, False, False, False, True, True]
    assert counts == [0, 1, 2, 3, 0, 0]
    assert presences[2] == round(0.5 * 0.75 / 0.85, 5)
    assert presences[4] == round(0.5 + 0.5 * 0.01 / 0.15, 5)


def test_the_first_frames_of_an_absence_teach_the_background_and_never_the_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = segmenter(presence=ON)
    state = begun(made, 1)
    predicting(monkeypatch, made, 0.6)
    states = [state]
    for index in range(1, 5):
        state, _ = made.step(state, frame(index))
        states.append(state)
    objects = [each.objects for each in states if each.objects is not None]
    mixtures = [each.mixture for each in objects if each.mixture is not None]
    assert len(mixtures) == 5
    for before, after, learns in zip(
        mixtures[:-1], mixtures[1:], [True, True, False, False], strict=True
    ):
        assert after.means[:, 0].equal(before.means[:, 0]) != learns
        assert after.means[:, 3].equal(before.means[:, 3]) != learns
        assert after.means[:, 1:3].equal(before.means[:, 1:3])
    for each in objects:  # looked for where it was seen last
        assert each.previous_mask.equal(objects[0].previous_mask)


def test_an_empty_mask_has_no_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    made = segmenter(presence=ON)
    state = begun(made, 1)
    predicting(monkeypatch, made, 0.4)
    state, found = made.step(state, frame(1))
    assert found.presence is not None and found.presence.item() == 0
    assert state.absent_for == {1: 1}


def test_a_given_mask_is_certain_and_ends_an_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    made = segmenter(presence=ON, process_first_frame=True)
    predicting(monkeypatch, made, 0.6)
    state, found = made.step(made.start(), frame(0), {1: mask(0)})
    assert found.presence is not None and found.presence.item() == 1
    state, _ = made.step(state, frame(1))
    assert state.absent_for == {1: 1}
    state, found = made.step(state, frame(2), {1: mask(1)})
    assert found.presence is not None and found.presence.item() == 1
    assert found.probs[0].equal(mask(1).float())
    assert not state.absent_for


def test_recognition_changes_nothing_while_objects_are_sure() -> None:
    sure = PresenceConfig(rule="confidence", thresholds=(1e-6, 1e-6))
    plain, judged = segmenter(), segmenter(presence=sure)
    states = [begun(plain, 1, 2), begun(judged, 1, 2)]
    for index in range(1, 4):
        states[0], expected = plain.step(states[0], frame(index))
        states[1], found = judged.step(states[1], frame(index))
        assert expected.presence is None and found.presence is not None
        assert found.probs.equal(expected.probs)


def test_removed_objects_take_their_absence_with_them() -> None:
    made = segmenter()
    state, _ = made.step(begun(made, 1, 2), frame(1), {1: ABSENT, 2: ABSENT})
    assert made.remove_objects(state, [1]).absent_for == {2: 1}


def test_a_state_of_version_0_1_goes_on(tmp_path: Path) -> None:
    made = segmenter()
    state, _ = made.step(begun(made, 1), frame(1))
    save_state(state, tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", "pt") as file:
        header = json.loads(file.metadata()["maskcast.state"])
    del header["value"]["fields"]["absent_for"]
    old = tmp_path / "old.safetensors"
    content = load_file(tmp_path / "new.safetensors")
    save_file(content, old, metadata={"maskcast.state": json.dumps(header)})
    _, expected = made.step(state, frame(2))
    _, found = made.step(load_state(old, AgameState), frame(2))
    assert found.probs.equal(expected.probs)


def test_recognition_is_off_as_published_and_its_thresholds_are_in_order() -> None:
    assert AgameConfig().presence.rule == "off"
    with pytest.raises(ConfigError, match=r"presence\.thresholds must go from low to high"):
        PresenceConfig(thresholds=(0.9, 0.8))
    with pytest.raises(ConfigError, match=r"presence\.thresholds must be in"):
        PresenceConfig(thresholds=(0.9, 1.0))
