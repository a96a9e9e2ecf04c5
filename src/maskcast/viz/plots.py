"""Plots as SVG without scripts. Every text and attribute is escaped.

Positions are in units of the picture, x to the right and y downwards.
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
"""One for each series, told apart in print and by most colour-blind readers."""
ABOVE_BASELINE = 4
"""How far the middle of a digit lies above the line that it is written on."""


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
    """Position of ``high``; it may be smaller than ``start``."""
    logarithmic: bool = False
    """Values must then be positive."""

    def at(self, value: float) -> float:
        """Return the position of a value; of an axis without extent, its start."""
        low, high, here = self._scaled(self.low), self._scaled(self.high), self._scaled(value)
        return self.start + (here - low) / ((high - low) or 1.0) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return log10(value) if self.logarithmic else value

    def end_labels(self, y: float, texts: tuple[str, str]) -> Markup:
        """Label both ends of a horizontal axis, on the baseline ``y``."""
        first, last = texts
        return text(self.start, y, first) + text(self.end, y, last, text_anchor="end")

    def value_label(self, x: float, value: float, label: str) -> Markup:
        """Label a value of a vertical axis; the text ends at ``x``."""
        return text(x, self.at(value) + ABOVE_BASELINE, label, text_anchor="end")


def svg(width: float, height: float, content: Markup, /, **attributes: Attribute) -> Markup:
    """Return a picture."""
    return element("svg", content, viewBox=f"0 0 {width:g} {height:g}", **attributes)


def text(x: float, y: float, content: str, /, **attributes: Attribute) -> Markup:
    """Return a text that begins at a position, unless ``text_anchor`` says otherwise."""
    return element("text", content, x=x, y=y, **attributes)


def line(start: Point, end: Point, /, **attributes: Attribute) -> Markup:
    """Return a straight line."""
    (x1, y1), (x2, y2) = start, end
    return element("line", x1=x1, x2=x2, y1=y1, y2=y2, **attributes)


def polyline(points: Sequence[Point], title: str = "", /, **attributes: Attribute) -> Markup:
    """Return a line through points; its title is shown by a mouse that rests on it."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    content = element("title", title) if title else ""
    return element("polyline", content, points=path, fill="none", **attributes)


def dot(at: Point, radius: float, /, **attributes: Attribute) -> Markup:
    """Return a filled circle."""
    return element("circle", cx=at[0], cy=at[1], r=radius, **attributes)


def element(name: str, content: str = "", /, **attributes: Attribute) -> Markup:
    """Return an XML element.

    Args:
        name: of the element.
        content: a ``Markup`` as it is; other text is escaped.
        attributes: ``_`` stands for ``-``, except at the end (``class_``).
    """
    head = Markup(name)
    for key, value in attributes.items():
        shown = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
        head += Markup(' {}="{}"').format(key.removesuffix("_").replace("_", "-"), shown)
    if not content:
        return Markup("<{}/>").format(head)
    return Markup("<{}>{}</{}>").format(head, content, name)
