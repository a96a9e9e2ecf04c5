"""Exported videos begin at 0, and rounded times of a steady rate become exact."""

from __future__ import annotations

from fractions import Fraction

import pytest

from maskcast.io.video.export_timing import exact_rate, export_timing, steady_timing
from maskcast.io.video.reader import Timing

FILM = Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (23.976, FILM),
        (23.98, FILM),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (24.0, Fraction(24)),
        (12.5, Fraction(25, 2)),
        (23.9, Fraction(239, 10)),
    ],
)
def test_rates_of_television_are_fractions_of_1001(rate, exact):
    assert exact_rate(rate) == exact


def rounded(rate: Fraction, count: int, *, per_second: int = 1000, start: int = 0) -> Timing:
    ticks = tuple(start + round(index / rate * per_second) for index in range(count))
    return Timing(Fraction(1, per_second), ticks)


@pytest.mark.parametrize("rate", [FILM, Fraction(24), Fraction(25), Fraction(60000, 1001)])
def test_times_in_milliseconds_become_exact(rate):
    timing = export_timing(rounded(rate, 300, start=777))
    assert (timing.seconds(0), timing.seconds(299)) == (0, 299 / rate)
    assert timing.rate == rate


def test_a_declared_rate_decides_where_two_fit():
    short = rounded(Fraction(24), 5)
    assert export_timing(short).rate == 24
    assert export_timing(short, [FILM]).rate == FILM
    assert export_timing(rounded(Fraction(25), 100), [FILM]).rate == 25  # it does not fit


def test_variable_times_keep_their_distances():
    ticks = (900, 933, 980, 1000, 1100)
    timing = export_timing(Timing(Fraction(1, 1000), ticks), [Fraction(30)])
    assert timing == Timing(Fraction(1, 1000), (0, 33, 80, 100, 200))


def test_a_frame_that_is_missing_stays_missing():
    timing = rounded(Fraction(25), 50)
    gap = Timing(timing.time_base, timing.ticks[:20] + timing.ticks[21:])
    assert export_timing(gap, [Fraction(25)]) == gap


def test_steady_times():
    timing = steady_timing(3, FILM)
    assert [timing.seconds(i) for i in range(3)] == [0, 1 / FILM, 2 / FILM]
