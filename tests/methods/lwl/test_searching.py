"""Positions of objects and views to search, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from maskcast.methods.lwl.crop import Sighting, View, find
from maskcast.methods.lwl.searching import locate, search_view, view_after_return


def blob(top: int, left: int, height: int, width: int, value: float = 1.0) -> Tensor:
    probs = torch.zeros(100, 160)
    probs[top : top + height, left : left + width] = value
    return probs


HERE = Sighting((39.5, 49.5), (23.0, 23.0))
"""About where a blob of 20 × 20 at (30, 40) is found."""


def located(probs: Tensor, last: Sighting | None, presence: float = 1.0) -> Any:
    judged = torch.tensor([presence]), torch.tensor([0.3])
    return locate(probs[None], *judged, [last], minimum_mass=100.0)[0]


def test_a_copy_does_not_drag_the_view() -> None:
    alone = blob(30, 40, 20, 20)
    (expected,) = find(alone[None], minimum_mass=1.0)
    assert located(alone, HERE).seen == expected
    with_copy = alone + blob(35, 100, 10, 30)
    assert located(with_copy, HERE).seen == expected
    (dragged,) = find(with_copy[None], minimum_mass=1.0)
    assert dragged is not None and dragged.position[1] > 70
    assert located(with_copy, None).seen == dragged  # without a last place all of it counts


def test_parts_of_an_object_that_something_separates_are_near() -> None:
    parts = blob(30, 40, 20, 20) + blob(30, 66, 20, 12)
    (both,) = find(parts[None], minimum_mass=1.0)
    assert located(parts, HERE).seen == both


def test_most_of_the_mass_is_followed_wherever_it_is() -> None:
    jumped = blob(30, 110, 20, 20) + blob(30, 40, 5, 5)
    (everywhere,) = find(jumped[None], minimum_mass=1.0)
    assert located(jumped, HERE).seen == everywhere


def test_a_window_at_the_corner_of_the_frame_ends_there() -> None:
    corner = blob(0, 0, 12, 12)
    (expected,) = find(corner[None], minimum_mass=1.0)
    assert located(corner, Sighting((2.0, 3.0), (20.0, 20.0))).seen == expected


def test_an_object_may_be_small_in_a_small_frame() -> None:
    # 100 pixels on a frame of 480 × 854 are 3.9 on one of 100 × 160
    assert located(blob(3, 3, 1, 3), None) == (True, None, pytest.approx(0.3))
    assert located(blob(3, 3, 2, 2), None).seen is not None
    assert located(blob(3, 3, 20, 20), None, presence=0.49)[:2] == (False, None)


def test_after_a_return_the_view_has_the_size_of_the_object_unless_it_still_enters() -> None:
    view = View((50.0, 150.0), 2.0, (20.0, 20.0))
    whole = view_after_return(view, Sighting((40.0, 60.0), (10.0, 40.0)), (100, 160))
    assert whole == View((40.0, 60.0), 1.0, (20.0, 20.0))
    entering = view_after_return(view, Sighting((40.0, 155.0), (10.0, 20.0)), (100, 160))
    assert entering == View((40.0, 155.0), 2.0, (20.0, 20.0))


def test_the_search_covers_the_frame_from_near_to_far_and_begins_again() -> None:
    size, crop = (100, 160), (30, 40)
    view = View((80.0, 20.0), 1.0, (10.0, 10.0))
    places = [search_view(view, count, size, crop).position for count in range(1, 40)]
    distances = [np.hypot(row - 80, column - 20) for row, column in places]
    rows, columns = ({place[axis] for place in places} for axis in (0, 1))
    count = len(rows) * len(columns)
    assert distances[:count] == sorted(distances[:count])
    assert places[count] == places[0] and len(set(places[:count])) == count
    # 70 rows are left of 100, in steps of at most 20; 120 columns of 160, in steps of at most 26.7
    assert sorted(rows) == pytest.approx([14.5, 14.5 + 17.5, 49.5, 49.5 + 17.5, 84.5])
    assert sorted(columns) == pytest.approx([19.5 + 24 * step for step in range(6)])
    whole = search_view(replace(view, scale=9.0), 3, size, crop)
    assert whole.position == (49.5, 79.5) and whole.scale == 9.0
