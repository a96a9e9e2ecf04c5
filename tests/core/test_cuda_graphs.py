"""A recorded function returns what it would compute, in memory that no later call overwrites.

Graphs are pretended here: a replay repeats the call, and writes into the memory of the first
outputs. ``tests/contract/test_devices.py`` records real ones on a card.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from fixtures.pretended_cuda import pretended_recording
from maskcast.core import cuda_graphs
from maskcast.core.cuda_graphs import Recording, Replayed

DEVICE = torch.device("cuda")


class Two(NamedTuple):
    total: Tensor
    parts: list[Tensor]


def call(one: Tensor, two: Two, factor: int) -> Two:
    return Two(factor * one.sin() + two.total, [two.parts[0] - one, one.exp()])


class Recorder:
    """Pretends graphs, and counts them and their replays."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, wanted: Callable[[], Any]) -> Recording:
        self.recorded += 1
        outputs, replay = pretended_recording(DEVICE, wanted)

        def counted() -> None:
            self.replayed += 1
            replay()

        return Recording(outputs, counted)


def arguments(seed: int, *shape: int, factor: int = 3) -> tuple[Tensor, Two, int]:
    draw = torch.Generator().manual_seed(seed)
    one, two, three = (torch.rand(shape, generator=draw) for _ in range(3))
    return one, Two(two, [three]), factor


def assert_equal(found: Two, expected: Two) -> None:
    assert type(found) is Two
    assert found.total.equal(expected.total)
    assert all(one.equal(two) for one, two in zip(found.parts, expected.parts, strict=True))


def test_replays_return_the_bits_of_the_function():
    recorder = Recorder()
    replayed = Replayed(call, DEVICE, record=recorder)
    results = [(replayed(*arguments(seed, 2, 3)), call(*arguments(seed, 2, 3))) for seed in (1, 2)]
    for found, expected in results:  # the first result is still what it was
        assert_equal(found, expected)
    assert (recorder.recorded, recorder.replayed) == (1, 2)


def test_inputs_may_change_after_the_call():
    replayed = Replayed(call, DEVICE, record=Recorder())
    given, expected = arguments(1, 4), call(*arguments(1, 4))
    found = replayed(*given)
    given[0].zero_()
    assert_equal(found, expected)
    assert_equal(replayed(*arguments(2, 4)), call(*arguments(2, 4)))


@pytest.mark.parametrize(
    "other",
    [
        arguments(1, 5),
        arguments(1, 4, factor=2),
        (arguments(1, 4)[0].double(), *arguments(1, 4)[1:]),
    ],
    ids=["shape", "number", "dtype"],
)
def test_other_kinds_of_inputs_have_graphs_of_their_own(other):
    recorder = Recorder()
    replayed = Replayed(call, DEVICE, record=recorder)
    for given in (arguments(1, 4), other, arguments(2, 4), other):
        assert_equal(replayed(*given), call(*given))
    assert recorder.recorded == 2


def test_memory_formats_are_kept_apart_and_kept():
    recorder = Recorder()
    replayed = Replayed(torch.sin, DEVICE, record=recorder)
    plain = torch.rand(1, 2, 3, 4)
    moved = plain.to(memory_format=torch.channels_last)
    assert replayed(plain).is_contiguous()
    assert replayed(moved).is_contiguous(memory_format=torch.channels_last)
    assert recorder.recorded == 2


def test_only_some_kinds_are_recorded(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MOST_GRAPHS", 2)
    recorder = Recorder()
    replayed = Replayed(torch.sin, DEVICE, record=recorder)
    for length in (1, 2, 3, 1):
        given = torch.rand(length)
        assert replayed(given).equal(given.sin())
    assert (recorder.recorded, recorder.replayed) == (2, 3)
