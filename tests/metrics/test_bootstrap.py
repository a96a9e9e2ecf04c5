"""Intervals of paired differences: certain, clear, and as wide as they should be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskcast.metrics.bootstrap import block_length, paired_interval


def test_a_constant_difference_is_certain():
    found = paired_interval(np.full(12, 0.25))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)
    assert found.is_clear


def test_an_interval_has_the_width_of_the_standard_error():
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    found = paired_interval(values)
    error = values.std() / math.sqrt(400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert found.low < found.mean < found.high


def test_blocks_widen_the_interval_of_values_that_come_in_runs():
    values = np.repeat(np.random.default_rng(2).normal(0, 1, 20), 10)
    alone, blocks = paired_interval(values), paired_interval(values, block=block_length(200))
    assert blocks.high - blocks.low > 2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).normal(0, 1, 30)
    assert paired_interval(values, seed=5) == paired_interval(values, seed=5)
    assert paired_interval(values, seed=5) != paired_interval(values, seed=6)


@pytest.mark.parametrize(
    ("sign", "spread", "clear"), [(1, 0.1, True), (-1, 0.1, True), (1, 9, False)]
)
def test_a_difference_is_clear_where_the_interval_leaves_out_zero(sign, spread, clear):
    noise = np.random.default_rng(4).normal(0, spread, 50)
    found = paired_interval(sign * 0.3 + noise - noise.mean())
    assert found.mean == pytest.approx(sign * 0.3)
    assert found.is_clear == clear


@pytest.mark.parametrize(("frames", "length"), [(0, 1), (1, 1), (99, 9), (100, 10)])
def test_a_block_has_the_root_of_the_number_of_frames(frames, length):
    assert block_length(frames) == length
