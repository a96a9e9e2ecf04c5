"""Draw plots as SVG without scripts. All texts and attributes are escaped.

Positions are in SVG units, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import TypeAlias

from markupsafe import Markup

Point: TypeAlias = tuple[float, float]
Attribute: TypeAlias = str | float

COLOURS = ("#2c6fbb", "#d1622b", "#2e8b57", "#8a4fbf", "#b0306a", "#7a6a00")
"""Colours of series, distinguishable in print and for most colour-blind readers."""
ABOVE_BASELINE = 4
"""Distance of the middle of a digit from the baseline, in SVG units."""


def colour_of_series(index: int) -> str:
    """Return the colour of the n-th series, from 0."""
    return COLOURS[index % len(COLOURS)]


@dataclass(frozen=True)
class Axis:
    """Maps values to positions along one direction of a plot."""

    low: float
    high: float
    start: float
    """Position of ``low``."""
    end: float
    """Position of ``high``; may be smaller than ``start``."""
    logarithmic: bool = False
    """Whether the axis is logarithmic; values must then be positive."""

    def at(self, value: float) -> float:
        """Return the position of a value, or the start if ``low`` equals ``high``."""
        low, high, scaled = self._scaled(self.low), self._scaled(self.high), self._scaled(value)
        return self.start + (scaled - low) / ((high - low) or 1.0) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return log10(value) if self.logarithmic else value

    def end_labels(self, y: float, texts: tuple[str, str]) -> Markup:
        """Return labels for both ends of a horizontal axis, with the baseline ``y``."""
        first, last = texts
        return text(self.start, y, first) + text(self.end, y, last, text_anchor="end")

    def value_label(self, x: float, value: float, label: str) -> Markup:
        """Return a label for a value of a vertical axis; the text ends at ``x``."""
        return text(x, self.at(value) + ABOVE_BASELINE, label, text_anchor="end")


def svg(width: float, height: float, content: Markup, /, **attributes: Attribute) -> Markup:
    """Return an SVG picture of a size, with some content."""
    return element("svg", content, viewBox=f"0 0 {width:g} {height:g}", **attributes)


def text(x: float, y: float, content: str, /, **attributes: Attribute) -> Markup:
    """Return a text that starts at a position, unless ``text_anchor`` says otherwise."""
    return element("text", content, x=x, y=y, **attributes)


def line(start: Point, end: Point, /, **attributes: Attribute) -> Markup:
    """Return a straight line."""
    (x1, y1), (x2, y2) = start, end
    return element("line", x1=x1, x2=x2, y1=y1, y2=y2, **attributes)


def polyline(points: Sequence[Point], title: str = "", /, **attributes: Attribute) -> Markup:
    """Return a line through points; its title is shown as a tooltip."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    content = element("title", title) if title else ""
    return element("polyline", content, points=path, fill="none", **attributes)


def dot(at: Point, radius: float, /, **attributes: Attribute) -> Markup:
    """Return a filled circle."""
    return element("circle", cx=at[0], cy=at[1], r=radius, **attributes)


def element(name: str, content: str = "", /, **attributes: Attribute) -> Markup:
    """Return an XML element.

    Args:
        name: tag of the element.
        content: inserted unchanged if it is ``Markup``; other text is escaped.
        attributes: ``_`` in a name becomes ``-``, except at the end (``class_``).
    """
    head = Markup(name)
    for key, value in attributes.items():
        shown = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
        head += Markup(' {}="{}"').format(key.removesuffix("_").replace("_", "-"), shown)
    if not content:
        return Markup("<{}/>").format(head)
    return Markup("<{}>{}</{}>").format(head, content, name)
