"""Curves and bars as SVG that stands inside an HTML page, without any script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby

from maskcast.metrics.bootstrap import Interval

WIDTH, HEIGHT, LEFT, BOTTOM = 560, 150, 34, 18
"""Of curves, in the units of the picture, which is scaled to the room there is."""
INTERVALS_WIDTH, LABEL_WIDTH, FIGURE_WIDTH, ROW = 420, 112, 44, 20
COLOURS = ("#2c6fbb", "#d1622b", "#2e8b57", "#8a4fbf", "#b0306a", "#7a6a00")
"""One for each run, told apart in print and by most colour-blind readers."""


def curves(names: Sequence[str], runs: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return J (solid) and F (dashed) over time, one colour for each run.

    Args:
        names: of the frames, in order.
        runs: by the run's name; ``J`` and ``F`` with one value per frame, NaN where there is none.
    """
    lines = [_axes(names)]
    for colour, (name, values) in zip(_colours(), runs.items(), strict=False):
        for measure, dash in (("J", ""), ("F", ' stroke-dasharray="4 3"')):
            title = f"<title>{escape(name)}: {measure}</title>"
            for points in _pieces(values[measure]):
                lines.append(
                    f'<polyline points="{points}" fill="none" stroke="{colour}"'
                    f' stroke-width="1.4"{dash}>{title}</polyline>'
                )
    return _svg((WIDTH, HEIGHT), "J and F over the frames", lines)


def intervals(differences: Mapping[str, Interval]) -> str:
    """Return a difference for each video with its interval, in per cent points."""
    largest = max((abs(v) for d in differences.values() for v in (d.low, d.high)), default=0)
    scale = max(largest, 0.01)
    half = (INTERVALS_WIDTH - LABEL_WIDTH - FIGURE_WIDTH) / 2
    middle = LABEL_WIDTH + half

    def x(value: float) -> float:
        return middle + half * value / scale

    height = ROW * len(differences) + 8
    lines = [f'<line x1="{middle}" x2="{middle}" y1="0" y2="{height}" class="axis"/>']
    for index, (name, each) in enumerate(differences.items()):
        y = ROW * index + ROW / 2 + 4
        kind = "clear" if each.is_clear else "open"
        lines += [
            f'<text x="{LABEL_WIDTH - 8}" y="{y + 4}" text-anchor="end">{escape(name)}</text>',
            f'<line x1="{x(each.low):.1f}" x2="{x(each.high):.1f}" y1="{y}" y2="{y}"'
            f' class="{kind}"/>',
            f'<circle cx="{x(each.mean):.1f}" cy="{y}" r="3.5" class="{kind}"/>',
            f'<text x="{INTERVALS_WIDTH - 2}" y="{y + 4}" text-anchor="end">'
            f"{signed(100 * each.mean, 1)}</text>",
        ]
    return _svg((INTERVALS_WIDTH, height), "difference for each video", lines)


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, as it is set in print."""
    return f"{value:+.{digits}f}".replace("-", "−")


def colour_of_run(index: int) -> str:
    """Return the colour of the n-th run, from 0."""
    return COLOURS[index % len(COLOURS)]


def _colours() -> Sequence[str]:
    return [colour_of_run(index) for index in range(64)]


def _axes(names: Sequence[str]) -> str:
    lines = []
    for value in (0.0, 0.5, 1.0):
        y = _y(value)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}" class="grid"/>')
        label = f"{100 * value:.0f}"
        lines.append(f'<text x="{LEFT - 5}" y="{y + 4}" text-anchor="end">{label}</text>')
    ends = [(LEFT, "start", names[0]), (WIDTH, "end", names[-1])] if names else []
    for x, anchor, name in ends:
        lines.append(f'<text x="{x}" y="{HEIGHT - 3}" text-anchor="{anchor}">{escape(name)}</text>')
    return "".join(lines)


def _pieces(values: Sequence[float]) -> list[str]:
    """Return the points of each stretch without a gap."""
    step = (WIDTH - LEFT) / max(len(values) - 1, 1)
    found = []
    for is_gap, stretch in groupby(enumerate(values), key=lambda item: math.isnan(item[1])):
        if not is_gap:
            points = [f"{LEFT + step * i:.1f},{_y(value):.1f}" for i, value in stretch]
            found.append(" ".join(points if len(points) > 1 else points * 2))
    return found


def _y(value: float) -> float:
    return round(6 + (HEIGHT - BOTTOM - 6) * (1 - value), 1)


def _svg(size: tuple[float, float], title: str, lines: Sequence[str]) -> str:
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        + "".join(lines)
        + "</svg>"
    )
