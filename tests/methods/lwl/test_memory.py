"""Memory weights by hand, which frame leaves, what corrections change, and the learner's buffer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.methods.lwl.config import MemoryConfig
from maskcast.methods.lwl.memory import Memory, SampleBuffers, Slot
from maskcast.methods.lwl.presets import boxinit, printed, ytvos

PLAIN = MemoryConfig(size=4)
FADING = MemoryConfig(size=4, update_rate=0.2, minimum_first_weight=0.0, equal_second_weight=True)


def slot(value: float = 0.0, *, annotated: bool = False) -> Slot:
    x, label = torch.full((2, 3, 5), value), torch.full((2, 3, 4), value)
    return Slot(x, label, label + 1, annotated)


def filled(config: MemoryConfig, insertions: int) -> Memory:
    memory = Memory.of_first(slot())
    for i in range(insertions):
        memory = memory.insert(slot(i + 1.0), config)
    return memory


def test_the_second_frame_gets_one_tenth_of_a_raised_first() -> None:
    assert filled(PLAIN, 1).gammas == pytest.approx(
        (1 / 0.9 / (1 / 0.9 + 0.1), 0.1 / (1 / 0.9 + 0.1))
    )
    assert filled(FADING, 1).gammas == pytest.approx((0.5, 0.5))


def test_each_later_frame_weighs_more_than_the_one_before() -> None:
    first, second = filled(FADING, 1).gammas
    total = first + second + second / 0.8
    assert filled(FADING, 2).gammas == pytest.approx(
        (first / total, second / total, second / 0.8 / total)
    )


def test_the_lightest_leaves_but_not_a_first_frame_with_a_minimum() -> None:
    kept, faded = filled(PLAIN, 10), filled(FADING, 10)
    assert kept.slots[0].x[0, 0, 0] == 0
    assert sorted(float(s.x[0, 0, 0]) for s in kept.slots[1:]) == [8, 9, 10]
    assert sorted(float(s.x[0, 0, 0]) for s in faded.slots) == [7, 8, 9, 10]


def test_the_first_frame_keeps_its_minimum() -> None:
    config = MemoryConfig(size=40)
    memory = filled(config, 39)
    assert memory.gammas[0] == 0.25
    before = filled(config, 38)
    raw = [*before.gammas, before.gammas[before.newest] / 0.9]
    rest = 1 - raw[0] / sum(raw)
    assert sum(memory.gammas) == pytest.approx(0.25 + rest / (0.25 + rest))


@pytest.mark.parametrize("size", [2, 3, 5, 32])
@pytest.mark.parametrize("settings", [ytvos().memory, boxinit().memory], ids=["ytvos", "boxinit"])
def test_weights_and_places_of_many_frames(settings: MemoryConfig, size: int) -> None:
    """The rules once more, over a plain list with empty slots."""
    config = replace(settings, size=size)
    memory, rate, minimum = Memory.of_first(slot()), config.update_rate, config.minimum_first_weight
    gammas, newest = [1.0] + [0.0] * (size - 1), 0
    for count in range(1, 120):
        free = range(count, size)
        place = free[0] if free else min(range(minimum > 0, size), key=gammas.__getitem__)
        weight = gammas[newest] / (1 - rate)
        if count == 1 and config.equal_second_weight:
            weight = 1.0
        elif count == 1:
            gammas, weight = [gamma / (1 - rate) for gamma in gammas], rate
        gammas[place], newest = weight, place
        gammas = [gamma / sum(gammas) for gamma in gammas]
        if gammas[0] < minimum:
            left = minimum + sum(gammas[1:])
            gammas = [minimum, *(gamma / left for gamma in gammas[1:])]
        memory = memory.insert(slot(), config)
        assert memory.newest == newest
        assert memory.gammas == pytest.approx(gammas[: len(memory.slots)])


def test_inserting_leaves_the_old_memory_alone_and_shares_its_slots() -> None:
    old = filled(PLAIN, 3)
    new = old.insert(slot(9.0), PLAIN)
    assert [float(s.x[0, 0, 0]) for s in old.slots] == [0, 1, 2, 3]
    assert sum(a is b for a, b in zip(old.slots, new.slots, strict=True)) == 3


@pytest.mark.parametrize("config", [PLAIN, FADING])
def test_corrected_frames_leave_only_when_no_other_is_left(config: MemoryConfig) -> None:
    memory = filled(config, 1).insert(slot(100.0, annotated=True), config)
    for i in range(20):
        memory = memory.insert(slot(float(i)), config)
    assert 100.0 in [float(s.x[0, 0, 0]) for s in memory.slots]
    for i in range(6):
        memory = memory.insert(slot(200.0 + i, annotated=True), config)
    values = [float(s.x[0, 0, 0]) for s in memory.slots]
    assert 205.0 in values and 100.0 not in values
    assert (0.0 in values) == (config is PLAIN)


def test_annotated_frames_share_the_minimum() -> None:
    config = MemoryConfig(size=40)
    memory = filled(config, 1).insert(slot(annotated=True), config)
    for _ in range(37):
        memory = memory.insert(slot(), config)
    before, memory = memory, memory.insert(slot(), config)
    assert memory.gammas[0] + memory.gammas[2] == pytest.approx(0.25)
    assert memory.gammas[0] / memory.gammas[2] == pytest.approx(before.gammas[0] / before.gammas[2])


def test_a_memory_of_one_frame_holds_the_newest() -> None:
    for config in (MemoryConfig(size=1), MemoryConfig(size=1, minimum_first_weight=0.0)):
        memory = Memory.of_first(slot()).insert(slot(1.0), config).insert(slot(2.0), config)
        assert [float(s.x[0, 0, 0]) for s in memory.slots] == [2.0]
        assert memory.gammas == (1.0,)


def test_buffers_hold_what_the_memory_holds() -> None:
    buffers = SampleBuffers(PLAIN)
    memory = Memory.of_first(slot())
    for i in range(8):
        memory = memory.insert(slot(i + 1.0), PLAIN)
        samples = buffers.samples(1, memory)
        assert torch.equal(samples.x[0], torch.stack([s.x for s in memory.slots]))
        weights = torch.stack([s.weight for s in memory.slots])
        expected = weights * torch.tensor(memory.gammas).view(-1, 1, 1, 1)
        torch.testing.assert_close(samples.v[0], expected)


def test_buffers_follow_a_state_that_goes_back_in_time() -> None:
    buffers = SampleBuffers(PLAIN)
    early, late = filled(PLAIN, 2), filled(PLAIN, 7)
    for memory in (late, early, late):
        labels = buffers.samples(1, memory).e[0]
        assert torch.equal(labels, torch.stack([s.label for s in memory.slots]))


def test_only_new_slots_are_copied() -> None:
    buffers, memory = SampleBuffers(PLAIN), filled(PLAIN, 2)
    buffers.samples(1, memory)
    for old in memory.slots:
        old.x.fill_(-1)  # a copy would show
    found = buffers.samples(1, memory.insert(slot(5.0), PLAIN)).x[0, :, 0, 0, 0]
    assert found.tolist() == [0, 1, 2, 5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slots_of_either_precision_share_a_buffer(dtype) -> None:
    buffers, memory = SampleBuffers(PLAIN, dtype=dtype), filled(PLAIN, 1)
    coarse = replace(slot(3.0), x=slot(3.0).x.bfloat16())
    samples = buffers.samples(1, memory.insert(coarse, PLAIN))
    assert samples.x.dtype == dtype
    assert samples.x[0, :, 0, 0, 0].tolist() == [0, 1, 3]
    assert samples.e.dtype == samples.v.dtype == torch.float32


def test_buffers_of_other_objects_are_given_back() -> None:
    buffers = SampleBuffers(MemoryConfig(size=2))
    for object_id in (1, 2, 300):
        buffers.samples(object_id, Memory.of_first(slot()))
    buffers.keep_only([2])
    assert list(buffers._buffers) == [2]


def test_absences_neither_fade_nor_take_from_the_other_frames() -> None:
    buffers, memory = SampleBuffers(replace(PLAIN, absent_share=0.3)), filled(PLAIN, 2)
    told = memory.with_absence(slot(50.0)).with_absence(slot(60.0)).insert(slot(9.0), PLAIN)
    assert (told.gammas, told.newest) == (
        memory.insert(slot(9.0), PLAIN).gammas,
        memory.insert(slot(9.0), PLAIN).newest,
    )
    samples = buffers.samples(1, told)
    assert samples.x[0, :, 0, 0, 0].tolist() == [0, 1, 2, 9, 50, 60]
    gammas = torch.tensor([*told.gammas, 0.15, 0.15])  # 0.3 for both together
    weights = torch.tensor([0.0, 1, 2, 9, 50, 60]) + 1
    torch.testing.assert_close(samples.v[0, :, 0, 0, 0], gammas * weights)
    again = buffers.samples(1, memory)
    assert again.x[0, :, 0, 0, 0].tolist() == [0, 1, 2]  # an older memory is laid out as it was


def test_four_absences_are_kept_and_those_that_a_person_marked_stay_longest() -> None:
    memory = Memory.of_first(slot())
    for value, annotated in ((1, True), (2, False), (3, True), (4, False), (5, False), (6, True)):
        memory = memory.with_absence(slot(float(value), annotated=annotated))
    assert [float(one.x[0, 0, 0]) for one in memory.absences] == [1, 3, 5, 6]
    for value in (7, 8):
        memory = memory.with_absence(slot(float(value), annotated=True))
    assert [float(one.x[0, 0, 0]) for one in memory.absences] == [3, 6, 7, 8]


def test_the_printed_weights_decay_from_the_first_frame_and_sum_to_one() -> None:
    """η^-t over all frames in memory, and the oldest but the first one leaves (section 3.5)."""
    config = replace(printed().memory, size=4)
    raw = [1.0, 1 / 0.9, 1 / 0.81]
    assert filled(config, 2).gammas == pytest.approx([value / sum(raw) for value in raw])
    memory = filled(config, 30)
    assert memory.slots[0].x[0, 0, 0] == 0
    assert sorted(float(s.x[0, 0, 0]) for s in memory.slots[1:]) == [28, 29, 30]
    raw = sorted(0.9 ** (30 - frame) for frame in (0, 28, 29, 30))
    assert sorted(memory.gammas) == pytest.approx([value / sum(raw) for value in raw])


def test_printed_weights_multiply_the_loss_of_a_frame() -> None:
    memory = filled(PLAIN, 3).with_absence(slot(50.0))
    config = replace(PLAIN, gamma_weighs="loss")
    samples = SampleBuffers(config).samples(1, memory)
    weights = torch.stack([s.weight for s in (*memory.slots, *memory.absences)])
    shares = (samples.v[0] / weights)[:, 0, 0, 0] ** 2  # v² is the weight in the loss
    assert shares.tolist() == pytest.approx([*memory.gammas, 0.25], rel=1e-5)


def test_a_first_frame_that_is_kept_leaves_other_weights_alone() -> None:
    fading = replace(FADING, keep_first_frame=True)
    kept = filled(fading, 10)
    assert kept.slots[0].x[0, 0, 0] == 0
    assert sorted(float(s.x[0, 0, 0]) for s in kept.slots[1:]) == [8, 9, 10]
    assert kept.gammas[0] < 0.25
