"""Draw the curves and intervals of the report as inline SVG."""

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
"""Size and margins of curves in SVG units; the page scales the picture."""
DASHES: dict[str, dict[str, Attribute]] = {"J": {}, "F": {"stroke_dasharray": "4 3"}}
INTERVALS_WIDTH, LABEL_WIDTH, FIGURE_WIDTH, ROW = 420, 112, 44, 20


def curves(names: Sequence[str], runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Markup:
    """Draw J (solid) and F (dashed) over time, one colour per run.

    Args:
        names: frame names, in order.
        runs: ``J`` and ``F`` by run name, with one value per frame, 0..1; NaN for no value.
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
    """Draw the difference of each video with its interval, in percentage points."""
    largest = max((abs(v) for d in differences.values() for v in (d.low, d.high)), default=0)
    scale = max(largest, 0.01)
    x = Axis(-scale, scale, LABEL_WIDTH, INTERVALS_WIDTH - FIGURE_WIDTH)
    height = ROW * len(differences) + 8
    content = line((x.at(0), 0), (x.at(0), height), class_="axis")
    for index, (name, interval) in enumerate(differences.items()):
        y = ROW * index + ROW / 2 + 4
        kind = "clear" if interval.is_clear else "open"
        figure = signed(100 * interval.mean, 1)
        content += text(LABEL_WIDTH - 8, y + ABOVE_BASELINE, name, text_anchor="end")
        content += line((x.at(interval.low), y), (x.at(interval.high), y), class_=kind)
        content += dot((x.at(interval.mean), y), 3.5, class_=kind)
        content += text(INTERVALS_WIDTH - 2, y + ABOVE_BASELINE, figure, text_anchor="end")
    label = "difference for each video"
    return svg(INTERVALS_WIDTH, height, content, role="img", aria_label=label)


def signed(value: float, digits: int) -> str:
    """Format a number with its sign and a typographic minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _pieces(values: Sequence[float], y: Axis) -> list[list[Point]]:
    """Return the points of each run of values without NaN."""
    x = Axis(0, max(len(values) - 1, 1), LEFT, WIDTH)
    pieces = []
    for is_gap, stretch in groupby(enumerate(values), key=lambda item: math.isnan(item[1])):
        if not is_gap:
            points = [(x.at(index), y.at(value)) for index, value in stretch]
            pieces.append(points if len(points) > 1 else points * 2)
    return pieces
