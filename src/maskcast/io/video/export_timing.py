"""Presentation times of exported videos: they begin at 0, and steady rates are exact."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from maskcast.io.video.reader import Timing

_TELEVISION = (24, 30, 48, 60, 120, 240)
"""Nominal rates that television and film divide by 1.001."""
_USUAL = tuple(
    rate
    for nominal in (24, 25, 30, 50, 60, 48, 100, 120, 240)
    for rate in (Fraction(nominal), Fraction(nominal * 1000, 1001))
    if rate.denominator == 1 or nominal in _TELEVISION
)
SLACK = Fraction(1, 1000)
"""Tolerance of rounded times beyond their rounding, as a share of a tick."""


def exact_rate(rate: float) -> Fraction:
    """Return a frame rate as a fraction: 23.976 is 24000/1001, 29.97 is 30000/1001, and so on."""
    for nominal in _TELEVISION:
        if abs(rate - nominal / 1.001) < 0.005:
            return Fraction(nominal * 1000, 1001)
    return Fraction(rate).limit_denominator(1001)


def steady_timing(count: int, rate: Fraction) -> Timing:
    """Return times of ``count`` frames at a constant rate, beginning at 0."""
    steps = range(0, count * rate.denominator, rate.denominator)
    return Timing(Fraction(1, rate.numerator), steps)


def export_timing(timing: Timing, declared: Iterable[Fraction] = ()) -> Timing:
    """Return times that begin at 0, and are exact if the given ones are those of a steady rate.

    Containers round times: Matroska to milliseconds. Where all times are those of a usual or
    declared rate up to this rounding, the rate takes their place.

    Args:
        timing: presentation times of the source.
        declared: frame rates that the source declares, which are tried first.
    """
    for rate in (*declared, *_USUAL):
        if _fits(timing, rate):
            return steady_timing(len(timing.ticks), rate)
    zero = timing.ticks[0]
    return Timing(timing.time_base, tuple(tick - zero for tick in timing.ticks))


def _fits(timing: Timing, rate: Fraction) -> bool:
    """Return whether the times are ``start + i / rate`` rounded to ticks, for some start."""
    if rate > 1000 or rate.denominator > 10_000:  # a damaged header
        return False
    step = 1 / (rate * timing.time_base)
    first = timing.ticks[0]
    if abs((timing.ticks[-1] - first) - step * (len(timing.ticks) - 1)) > 1 + SLACK:
        return False
    early = late = Fraction(0)
    for index, tick in enumerate(timing.ticks):
        off = tick - first - index * step
        early, late = min(early, off), max(late, off)
        if late - early > 1 + SLACK:
            return False
    return True
