"""Draw the figures of a paper as inline SVG: published points, and those of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TypeAlias

from markupsafe import Markup

from maskcast.viz.plots import Axis, Point, colour_of_series, dot, line, polyline, svg, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 44, 12, 12, 40
"""Size and margins of a chart in SVG units; the page scales the picture."""
CHARACTER, LINE = 6.6, 13.0
"""Average width of a character and height of a line of text, in SVG units."""
MOST_TICKS = 7
LOG_TICKS = (1, 2, 5)


@dataclass(frozen=True)
class ChartPoint:
    """One result in a chart."""

    x: float
    y: float
    label: str
    curve: str = ""
    """Points of one curve are joined by a line; empty: a point for itself."""
    is_run: bool = False
    """Whether it is a run of this package; published points are drawn in grey or hollow."""


def scatter(
    points: Sequence[ChartPoint], x_name: str, y_name: str, *, logarithmic: bool = True
) -> Markup:
    """Draw points with labels and joined curves.

    Args:
        points: at least one.
        x_name: label of the horizontal axis.
        y_name: label of the vertical axis.
        logarithmic: whether the horizontal axis is logarithmic.
    """
    x = _horizontal([point.x for point in points], logarithmic=logarithmic)
    y = _vertical([point.y for point in points])
    content = _grid(x, y, x_name, y_name)
    placed = [(x.at(point.x), y.at(point.y)) for point in points]
    taken = [(cx - 5, cy - 5, cx + 5, cy + 5) for cx, cy in placed]
    curves = list(dict.fromkeys(point.curve for point in points if point.curve))
    for index, curve in enumerate(curves):
        ends = sorted(at for at, point in zip(placed, points, strict=True) if point.curve == curve)
        content += polyline(ends, curve, stroke=colour_of_series(index), stroke_width=1.4)
    for (cx, cy), point in zip(placed, points, strict=True):
        colour = colour_of_series(curves.index(point.curve)) if point.curve else None
        content += _mark((cx, cy), point, colour)
        content += _label((cx, cy), point.label, colour, taken)
    return svg(WIDTH, HEIGHT, content, role="img", aria_label=f"{y_name} over {x_name}")


def _mark(at: Point, point: ChartPoint, colour: str | None) -> Markup:
    """Draw a run as a large dot, a published figure of the paper as a ring, others in grey."""
    if point.is_run:
        return dot(at, 5.5, fill=colour or "#b0306a")
    if colour is None:
        return dot(at, 3.5, class_="open")
    return dot(at, 4.0, fill="var(--paper)", stroke=colour, stroke_width=1.8)


_Area: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def _label(at: Point, label: str, colour: str | None, taken: list[_Area]) -> Markup:
    """Write a label where it covers no other one, if there is room; add its box to ``taken``."""
    (x, y), width = at, CHARACTER * len(label)
    beside = [(x + 8, y - 6.5), (x - 8 - width, y - 6.5)]
    apart = [
        position
        for distance in (7.0, 20.0, 33.0)
        for side in (x - width / 2, x + 3, x - width - 3)
        for position in ((side, y - distance - LINE), (side, y + distance))
    ]
    positions = (
        beside + apart if colour is None else apart + beside
    )  # lines run beside their points
    boxes = [(left, top, left + width, top + LINE) for left, top in positions]
    inside = [box for box in boxes if _is_inside(box)]
    free = [box for box in inside if not any(_overlap(box, other) for other in taken)]
    chosen = (free or inside or boxes)[0]
    taken.append(chosen)
    colours = {} if colour is None else {"fill": colour}
    return text(chosen[0], chosen[3] - 3, label, **colours)


def _is_inside(box: _Area) -> bool:
    left, top, right, bottom = box
    return left >= LEFT and right <= WIDTH - 2 and top >= 0 and bottom <= HEIGHT - BOTTOM


def _overlap(one: _Area, other: _Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _horizontal(values: Sequence[float], *, logarithmic: bool) -> Axis:
    low, high = min(values), max(values)
    if logarithmic:
        return Axis(low / 1.6, high * 2.2, LEFT, WIDTH - RIGHT, logarithmic=True)
    space = 0.08 * (high - low) or 1.0
    return Axis(low - space, high + space, LEFT, WIDTH - RIGHT)


def _vertical(values: Sequence[float]) -> Axis:
    step = _step(max(values) - min(values))
    low, high = floor(min(values) / step) * step, ceil(max(values) / step) * step
    return Axis(low, high if high > low else low + step, HEIGHT - BOTTOM, TOP)


def _step(extent: float) -> float:
    """Return a round distance that divides an extent into at most ``MOST_TICKS`` parts."""
    for power in range(-3, 4):
        for factor in LOG_TICKS:
            if extent / (factor * 10.0**power) <= MOST_TICKS:
                return float(factor * 10.0**power)
    return extent


def _grid(x: Axis, y: Axis, x_name: str, y_name: str) -> Markup:
    content = Markup()
    step = _step(y.high - y.low)
    for index in range(round((y.high - y.low) / step) + 1):
        value = y.low + index * step
        content += line((LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value)), class_="grid")
        content += y.value_label(LEFT - 6, value, f"{value:g}")
    for value in _ticks(x):
        content += line((x.at(value), TOP), (x.at(value), HEIGHT - BOTTOM), class_="grid")
        content += text(x.at(value), HEIGHT - BOTTOM + 15, f"{value:g}", text_anchor="middle")
    content += text((LEFT + WIDTH) / 2, HEIGHT - 6, x_name, text_anchor="middle")
    return content + text(2, TOP - 2, y_name)


def _ticks(axis: Axis) -> list[float]:
    if not axis.logarithmic:
        step = _step(axis.high - axis.low)
        first, last = ceil(axis.low / step), floor(axis.high / step)
        return [index * step for index in range(first, last + 1)]
    decades = range(floor(log10(axis.low)), ceil(log10(axis.high)) + 1)
    factors = LOG_TICKS if len(decades) < 4 else (1,)
    ticks = [factor * 10.0**decade for decade in decades for factor in factors]
    return [tick for tick in ticks if axis.low <= tick <= axis.high]
