"""Cuts between scenes are detected; motion, flashes and dissolves are not taken for cuts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskcast.core.types import Frame
from maskcast.io.video.shot_cuts import BINS, CutDetector, differ, look_of

SIZE = (90, 160)


def scene(seed: int, shift: int = 0) -> Frame:
    """Blocks in the colours of a seed, moved to the right."""
    generator = np.random.default_rng(seed)
    base = generator.uniform(0.1, 0.9, 3)
    blocks = np.clip(base + generator.normal(0, 0.15, (9, 16, 3)), 0, 1)
    picture = np.roll(blocks.repeat(10, axis=0).repeat(10, axis=1), shift, axis=1)
    return torch.from_numpy(picture).permute(2, 0, 1).float()


def cuts_in(frames: list[Frame]) -> list[int]:
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector.begins_shot(frame)]


def test_a_histogram_worked_out_by_hand():
    frame = torch.zeros(3, 2, 4)
    frame[0, :, :2] = 1.0  # half of the pixels are red: bin 7 of red, 0 of the others
    frame[1, 0, 2] = 0.13  # one of eight has green in bin 1
    histogram, layout = look_of(frame)
    assert histogram.sum() == pytest.approx(1)
    assert histogram[7 * BINS * BINS] == pytest.approx(0.5)
    assert histogram[BINS] == pytest.approx(1 / 8)
    assert histogram[0] == pytest.approx(3 / 8)
    assert layout.max() == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_is_detected_on_the_first_frame_of_the_new_shot(seed):
    frames = [scene(seed, shift) for shift in range(6)]
    frames += [scene(seed + 100, shift) for shift in range(6)]
    assert cuts_in(frames) == [6]


def test_one_shot_has_no_cut():
    assert cuts_in([scene(3, 4 * shift) for shift in range(30)]) == []


def test_a_flash_or_a_change_of_exposure_is_no_cut():
    frame = scene(3)
    bright = (frame * 1.3).clamp(0, 1)
    histograms = [look_of(each).histogram for each in (frame, bright)]
    assert torch.minimum(*histograms).sum() < 0.7  # the histogram alone would take it for one
    assert cuts_in([frame, bright, frame, 0.5 * frame, frame]) == []


def test_a_dissolve_is_no_cut():
    first, second = scene(3), scene(103)
    shares = torch.linspace(0, 1, 25)
    assert cuts_in([(1 - share) * first + share * second for share in shares]) == []
    assert cuts_in([first, second]) == [1]


def test_a_cut_to_black_and_back_is_one():
    assert cuts_in([scene(3), torch.zeros(3, *SIZE), torch.zeros(3, *SIZE), scene(3)]) == [1, 3]


def test_the_size_of_a_frame_changes_little():
    large = scene(3).repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    assert not differ(look_of(scene(3)), look_of(large))
    assert torch.allclose(look_of(large).layout, look_of(scene(3)).layout, atol=1e-3)
