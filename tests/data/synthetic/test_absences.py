"""Objects of synthetic clips that leave the frame, or are hidden, for some frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch

from maskcast.data.synthetic.absences import Absence, board, draw_absence, hide, leave_frame
from maskcast.data.synthetic.motion import draw_camera, draw_motion
from maskcast.data.synthetic.stage import Cutout, Stage, as_layer, render

SIZE = (90, 160)


def test_the_frames_that_lack_the_object_are_some_in_a_row_and_never_the_first():
    times = (0.0, 3.0, 7.0, 12.0, 20.0)
    seen = Counter()
    for seed in range(800):
        absence = draw_absence(np.random.default_rng(seed), times)
        lacking = [time for time in times if absence.gone <= time <= absence.back]
        assert absence.begin in times and absence.gone == lacking[0]
        assert absence.begin == times[times.index(lacking[0]) - 1]
        returns = absence.end < inf
        assert returns == (absence.back < inf)
        if returns:
            assert absence.end == times[times.index(lacking[-1]) + 1]
        seen[(*(times.index(time) for time in lacking), returns)] += 1
    rows = {tuple(range(first, last + 1)) for first in (1, 2, 3) for last in range(first, 4)}
    ends = {tuple(range(first, 5)) for first in (1, 2, 3, 4)}
    assert set(seen) == {(*row, True) for row in rows} | {(*row, False) for row in ends}
    assert sum(seen[(*row, True)] for row in rows) / 800 == pytest.approx(0.75, abs=0.05)


def test_with_one_test_frame_the_object_does_not_return():
    absence = draw_absence(np.random.default_rng(0), (0.0, 5.0))
    assert absence == Absence(0.0, 5.0, inf, inf)


def disc(side: float, seed: int):
    """A layer of a disc of this half side, anywhere in the frame."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    alpha = torch.from_numpy((np.hypot(x, y) < 0.95).astype(np.float32))
    generator = np.random.default_rng(seed)
    start = tuple(generator.uniform(-0.5, 0.5, 2) * (SIZE[1] / SIZE[0], 1))
    motion = draw_motion(generator, start=start, size=side, aspect=1.0, pace=1.0)
    return as_layer(Cutout(torch.ones(3, 48, 48), alpha), motion, 1, shadow=False)


def pixels_at(layers, times) -> list[int]:
    camera = draw_camera(np.random.default_rng(0), 0.5)
    stage = Stage(torch.zeros(1, 3, 108, 192), 1.2, camera, tuple(layers))
    return [int((render(stage, SIZE, time)[1] == 1).sum()) for time in times]


ABSENCE = Absence(10.0, 14.0, 20.0, 24.0)


def test_an_object_that_leaves_is_out_of_the_frame_and_returns_to_its_path():
    for seed in range(25):
        layer = disc(0.2, seed)
        gone = leave_frame(np.random.default_rng(seed), layer, ABSENCE, SIZE)
        times = (0.0, 10.0, 14.0, 17.0, 20.0, 24.0)
        before, after = pixels_at([layer], times), pixels_at([gone], times)
        assert after[2:5] == [0, 0, 0]
        assert [after[0], after[1], after[5]] == [before[0], before[1], before[5]]


@pytest.mark.parametrize("fills_square", [True, False])
def test_what_hides_an_object_covers_it_only_while_it_is_absent(fills_square):
    hidden, in_front = 0, 0
    for seed in range(25):
        layer = disc(0.15, seed)
        cutout = board(torch.rand(3, 48, 48))
        if not fills_square:
            cutout = Cutout(cutout.image, disc(0.15, 0).pixels[0, 3])
        generator = np.random.default_rng(seed)
        cover = hide(generator, layer, ABSENCE, cutout=cutout, fills_square=fills_square)
        assert cover.object_id == 0
        times = (0.0, 10.0, 14.0, 17.0, 20.0, 24.0)
        free, covered = pixels_at([layer], times), pixels_at([layer, cover], times)
        hidden += sum(each == 0 for each in covered[2:5])
        in_front += sum(covered[i] < 0.5 * free[i] for i in (0, 1, 5))
    # both move and turn on their own, so a cover may leave a rim, or pass a little early
    assert hidden >= 0.9 * 75
    assert in_front <= 0.1 * 75


def test_a_large_picture_on_a_board_is_opaque_inside():
    cutout = board(torch.full((3, 10, 12), 0.3))
    assert cutout.alpha[1:-1, 1:-1].min() == 1 and cutout.alpha[0].max() == 0
    far = replace(disc(0.2, 1).motion, excursion=None)
    assert as_layer(cutout, far, 0, shadow=False).pixels.shape == (1, 4, 10, 12)
