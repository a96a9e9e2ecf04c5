"""Curves and intervals of the report, as SVG that stands inside its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from markupsafe import Markup

from maskcast.metrics.bootstrap import Interval
from maskcast.viz.plots import (
    ABOVE_BASELINE,
    Attribute,
    Axis,
    Point,
    colour_of_series,
    dot,
    line,
    polyline,
    svg,
    text,
)

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 150, 34, 18, 6
"""Of curves, in the units of the picture, which is scaled to the room there is."""
DASHES: dict[str, dict[str, Attribute]] = {"J": {}, "F": {"stroke_dasharray": "4 3"}}
INTERVALS_WIDTH, LABEL_WIDTH, FIGURE_WIDTH, ROW = 420, 112, 44, 20


def curves(names: Sequence[str], runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Markup:
    """Return J (solid) and F (dashed) over time, one colour for each run.

    Args:
        names: of the frames, in order.
        runs: by the run's name; ``J`` and ``F`` with one value per frame, NaN where there is none.
    """
    y = Axis(0, 1, HEIGHT - BOTTOM, TOP)
    content = Markup()
    for value in (0.0, 0.5, 1.0):
        content += line((LEFT, y.at(value)), (WIDTH, y.at(value)), class_="grid")
        content += y.value_label(LEFT - 5, value, f"{100 * value:.0f}")
    if names:
        x = Axis(0, max(len(names) - 1, 1), LEFT, WIDTH)
        content += x.end_labels(HEIGHT - 3, (names[0], names[-1]))
    for index, (name, values) in enumerate(runs.items()):
        for measure, dashes in DASHES.items():
            look = {"stroke": colour_of_series(index), "stroke_width": 1.4, **dashes}
            for points in _pieces(values[measure], y):
                content += polyline(points, f"{name}: {measure}", **look)
    return svg(WIDTH, HEIGHT, content, role="img", aria_label="J and F over the frames")


def intervals(differences: Mapping[str, Interval]) -> Markup:
    """Return a difference for each video with its interval, in per cent points."""
    largest = max((abs(v) for d in differences.values() for v in (d.low, d.high)), default=0)
    scale = max(largest, 0.01)
    x = Axis(-scale, scale, LABEL_WIDTH, INTERVALS_WIDTH - FIGURE_WIDTH)
    height = ROW * len(differences) + 8
    content = line((x.at(0), 0), (x.at(0), height), class_="axis")
    for index, (name, each) in enumerate(differences.items()):
        y = ROW * index + ROW / 2 + 4
        kind = "clear" if each.is_clear else "open"
        figure = signed(100 * each.mean, 1)
        content += text(LABEL_WIDTH - 8, y + ABOVE_BASELINE, name, text_anchor="end")
        content += line((x.at(each.low), y), (x.at(each.high), y), class_=kind)
        content += dot((x.at(each.mean), y), 3.5, class_=kind)
        content += text(INTERVALS_WIDTH - 2, y + ABOVE_BASELINE, figure, text_anchor="end")
    label = "difference for each video"
    return svg(INTERVALS_WIDTH, height, content, role="img", aria_label=label)


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, as it is set in print."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _pieces(values: Sequence[float], y: Axis) -> list[list[Point]]:
    """Return the points of each stretch without a gap."""
    x = Axis(0, max(len(values) - 1, 1), LEFT, WIDTH)
    found = []
    for is_gap, stretch in groupby(enumerate(values), key=lambda item: math.isnan(item[1])):
        if not is_gap:
            points = [(x.at(index), y.at(value)) for index, value in stretch]
            found.append(points if len(points) > 1 else points * 2)
    return found
