"""Which frames count, and what is averaged over what."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.data.catalogue import protocol_of
from maskcast.metrics.protocols import (
    Figures,
    ObjectScores,
    average,
    dataset_figures,
    with_choices,
)
from maskcast.metrics.statistics import Summary

FRAMES = (0, 1, 2, 3, 4)


def figures(J: float, F: float, V: float | None = None) -> Figures:
    return Figures(Summary(J, J, 0), Summary(F, F, 0), V)


@pytest.mark.parametrize(
    ("name", "first", "expected"),
    [
        ("davis2017", 0, (1, 2, 3)),
        ("davis2017", 2, (3,)),
        ("davis2017", 4, ()),
        ("mose", 0, (1, 2, 3)),
        ("sa-v", 1, (2, 3)),
        ("youtube-vos-2019", 0, (1, 2, 3, 4)),
        ("youtube-vos-2018", 3, (4,)),
        ("folder", 0, (0, 1, 2, 3, 4)),
        ("folder", 2, (2, 3, 4)),
    ],
)
def test_frames_that_count(name, first, expected):
    assert protocol_of(name).counted(FRAMES, first_frame=first) == expected


def test_lvos_counts_an_objects_own_range():
    own = (1, 2, 3)
    assert protocol_of("lvos").counted(FRAMES, first_frame=1, own_range=own) == (2,)
    assert protocol_of("lvos").counted(FRAMES, first_frame=1, own_range=(1,)) == ()


def test_frames_without_annotation_never_count():
    assert protocol_of("davis2017").counted((0, 2, 6), first_frame=0) == (2,)


def test_single_rules_can_be_chosen():
    folder = with_choices(protocol_of("folder"), skip_first=True, skip_last=None)
    assert folder.counted(FRAMES, first_frame=0) == (1, 2, 3, 4)
    mose = with_choices(protocol_of("mose"), skip_first=None, skip_last=False)
    assert mose.counted(FRAMES, first_frame=0) == (1, 2, 3, 4)


def test_objects_weigh_the_same():
    total = dataset_figures({"a_1": figures(1, 0.5), "a_2": figures(0, 0.5)}, None).total
    assert (total.J.mean, total.F.mean, total.overall) == (0.5, 0.5, 0.5)


def test_groups_weigh_the_same_whatever_their_size():
    objects = {
        "a_1": figures(0.9, 0.8, 0.1),
        "a_2": figures(0.7, 0.6, 0.3),
        "b_1": figures(0.2, 0.4, 0.5),
    }
    found = dataset_figures(objects, {"a_1": "seen", "a_2": "seen", "b_1": "unseen"})
    assert found.groups["seen"].J.mean == pytest.approx(0.8)
    assert found.groups["unseen"].F.mean == pytest.approx(0.4)
    # G is the mean of four: J seen 0.8, J unseen 0.2, F seen 0.7, F unseen 0.4
    assert found.total.overall == pytest.approx((0.8 + 0.2 + 0.7 + 0.4) / 4)
    assert pytest.approx((0.2 + 0.5) / 2) == found.total.V


def test_a_benchmark_without_variation_has_none():
    assert average([figures(1, 1), figures(0, 0)]).V is None


def test_variation_is_that_of_the_mean_of_both():
    scores = ObjectScores(("0", "1"), np.array([0.4, 0.8]), np.array([0.6, 0.6]))
    assert pytest.approx(0.1) == scores.figures(varies=True).V  # of 0.5 and 0.7
    assert scores.figures().V is None
