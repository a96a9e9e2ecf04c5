"""LWL's graphs and the runtime around them segment like the package; torch runs the graphs."""

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
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.export import Fit, graphs
from maskcast.methods.lwl.few_shot_learner import Samples
from maskcast.methods.lwl.method import build, network_of
from maskcast.methods.lwl.presence_config import PresenceConfig
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.onnx_runtime.lwl import LWL
from maskcast.methods.onnx_runtime.session import arrays_of, state_of

SIZE = (60, 90)


def variant(rule: str = "likeness", **crop: object) -> LWLConfig:
    """Tiny settings with a rule for absence, and boxes as in the weights of the package."""
    config = tiny()
    crop = {"box_view": "crop", "exact_paste": True, "disjoint_boxes": True, **crop}
    return replace(
        config,
        network=replace(config.network, presence_head=True),
        crop=replace(config.crop, **crop),
        # seeded networks are unsure of everything: with these some objects come and go
        presence=PresenceConfig(
            rule=rule,
            thresholds=(0.5, 0.52),
            certain_below=(0.4, 0.1),
            largest_drop=0.9,
            search="frame",
        ),
        learner=replace(config.learner, update_every=2),
    )


VARIANTS = {
    "as published": tiny(),
    "likeness": variant(),
    "head and likeness": variant("head-and-likeness", exact_paste=False),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_runtime_segments_like_the_package(config):
    frames, labels = synthetic_frames(14, SIZE)
    marks = eventful(frames, labels, boxes=config.crop.box_view == "crop")
    session = LWL(ModuleGraphs(config, graphs(config, None, None)))
    pairs = segment_both(build(config, None), session, frames, marks)
    assert len({tuple(np.unique(masks.label_map())) for _, masks in pairs}) > 1
    assert differing_pixels(pairs) < 1e-3
    for expected, masks in pairs:
        assert masks.ids == expected.ids
        assert np.abs(masks.probs - expected.probs.numpy()).max() < 2e-3
        if expected.presence is None:
            assert masks.presence is None
        else:
            assert masks.presence == pytest.approx(expected.presence.tolist(), abs=2e-3)


@pytest.mark.parametrize("samples", [1, 3])
def test_the_learner_in_matrix_products_is_the_learner(samples):
    config = tiny()
    network = network_of(config, None)
    generator = torch.Generator().manual_seed(samples)
    tau, x, label, v = (
        torch.rand(size, generator=generator)
        for size in [(1, 4, 16, 3, 3), *((1, samples, 4, 6, c) for c in (16, 4, 4))]
    )
    with torch.no_grad():
        expected = network.learner(tau, Samples(x, label, v), 4)
        found = Fit(network, 4)(tau, x, label, v)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_state_is_a_value_that_arrays_carry(tmp_path):
    config = variant()
    frames, labels = synthetic_frames(8, SIZE)
    session = LWL(ModuleGraphs(config, graphs(config, None, None)))
    state, _ = session.step(session.start(), frames[0], {1: labels[0] == 1, 2: labels[0] == 2})
    for frame in frames[1:6]:  # more frames than the memory holds
        state, _ = session.step(state, frame, {})
    np.savez(tmp_path / "state.npz", **arrays_of(state))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        restored = state_of(arrays)
    _, expected = session.step(state, frames[6], {})
    session.step(session.remove_objects(state, [1]), frames[7], {})  # frees a buffer
    _, found = session.step(restored, frames[6], {})
    assert np.array_equal(found.probs, expected.probs)
    assert found.presence == expected.presence


def test_after_a_cut_objects_are_searched_for_everywhere():
    config = variant()
    frames, labels = synthetic_frames(3, (120, 180))
    session = LWL(ModuleGraphs(config, graphs(config, None, None)))
    segmenter = build(config, None)
    given = labels[0] == 1
    theirs, _ = session.step(session.start(), frames[0], {1: given})
    ours, _ = segmenter.step(
        segmenter.start(), torch.from_numpy(frames[0]), {1: torch.from_numpy(given)}
    )
    theirs, ours = session.after_cut(theirs), segmenter.after_cut(ours)
    for frame in frames[1:]:
        theirs, masks = session.step(theirs, frame, {})
        ours, expected = segmenter.step(ours, torch.from_numpy(frame))
        assert differing_pixels([(expected, masks)]) < 1e-3
        assert masks.presence == pytest.approx(expected.presence.tolist(), abs=2e-3)


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (tiny(), (480, 854), "leave out the size"),
        (replace(tiny(), crop=replace(tiny().crop, size=(60, 96))), None, "multiples of 16"),
        (replace(tiny(), speed=replace(tiny().speed, share_crop=True)), None, "share_crop"),
    ],
)
def test_what_has_no_graphs_is_named(config, size, message):
    with pytest.raises(UsageError, match=message):
        graphs(config, None, size)
