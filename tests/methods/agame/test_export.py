"""A-GAME's graphs and the runtime around them segment like the package; torch runs the graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fixtures.exported_graphs import (
    ModuleGraphs,
    differing_pixels,
    eventful,
    segment_both,
    synthetic_frames,
)
from maskcast.core.errors import UsageError
from maskcast.methods.agame.config import AppearanceConfig, PresenceConfig, PropagationConfig
from maskcast.methods.agame.export import graphs
from maskcast.methods.agame.framing import shrink_frame, shrink_mask
from maskcast.methods.agame.method import build
from maskcast.methods.agame.presets import tiny
from maskcast.methods.onnx_runtime import resampling
from maskcast.methods.onnx_runtime.agame import Agame
from maskcast.methods.onnx_runtime.session import arrays_of, state_of

SIZE = (75, 100)
BY_CONFIDENCE = PresenceConfig(rule="confidence", thresholds=(0.6, 0.62), remembered=2)
VARIANTS = {
    "as published": tiny(),
    "reduced frames, absence": replace(tiny(), working_side=48, presence=BY_CONFIDENCE),
    "fine masks": replace(tiny(), update_mask="fine", process_first_frame=True),
    "coarse masks": replace(
        tiny(), update_mask="coarse", appearance=replace(tiny().appearance, residual=False)
    ),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_runtime_segments_like_the_package(config):
    frames, labels = synthetic_frames(12, SIZE)
    session = Agame(ModuleGraphs(config, graphs(config, None, SIZE)))
    marks = eventful(frames, labels, boxes=False)
    pairs = segment_both(build(config, None), session, frames, marks)
    assert differing_pixels(pairs) < 1e-3
    for expected, masks in pairs:
        assert masks.ids == expected.ids
        assert np.abs(masks.probs - expected.probs.numpy()).max() < 2e-3
        if expected.presence is None:
            assert masks.presence is None
        else:
            assert masks.presence == pytest.approx(expected.presence.tolist(), abs=2e-3)


def test_a_state_is_a_value_that_arrays_carry():
    frames, labels = synthetic_frames(4, SIZE)
    session = Agame(ModuleGraphs(tiny(), graphs(tiny(), None, SIZE)))
    state, _ = session.step(session.start(), frames[0], {1: labels[0] == 1, 2: labels[0] == 2})
    state, _ = session.step(state, frames[1], {})
    restored = state_of(arrays_of(state))
    _, expected = session.step(state, frames[2], {})
    _, found = session.step(restored, frames[2], {})
    assert np.array_equal(found.probs, expected.probs)
    without, masks = session.step(session.remove_objects(state, [1]), frames[2], {})
    assert masks.ids == without.ids == (2,)


def test_frames_and_masks_are_reduced_as_in_torch():
    frames, labels = synthetic_frames(1, (130, 170))
    axes = [(130, 48), (170, 63)]
    found = resampling.resample(frames[0], *(resampling.antialiased(*axis) for axis in axes))
    expected = shrink_frame(torch.from_numpy(frames[0]), (48, 63)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    mask = labels[0] == 1
    share = resampling.resample(mask.astype(np.float32), *(resampling.area(*axis) for axis in axes))
    assert np.array_equal(share > 0.5, shrink_mask(torch.from_numpy(mask), (48, 63)).numpy())


def test_frames_of_another_size_are_rejected():
    session = Agame(ModuleGraphs(tiny(), graphs(tiny(), None, SIZE)))
    frame = np.zeros((3, 200, 300), np.float32)
    with pytest.raises(ValueError, match="export the weights for it"):
        session.step(session.start(), frame, {1: frame[0] == 0})


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (tiny(), None, "give the height and width"),
        (replace(tiny(), appearance=AppearanceConfig(output="none")), SIZE, "ablations"),
        (replace(tiny(), propagation=PropagationConfig(enabled=False)), SIZE, "ablations"),
    ],
)
def test_what_has_no_graphs_is_named(config, size, message):
    with pytest.raises(UsageError, match=message):
        graphs(config, None, size)
