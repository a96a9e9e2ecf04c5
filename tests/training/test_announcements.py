"""What a run says at its start, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from maskcast.training.announcements import (
    STEPS_TIMED,
    Pace,
    describe_first_validation,
    describe_start,
    in_hours,
)
from training.toy_task import ToyConfig, ToyInParts


@dataclass(frozen=True)
class WithTrunk:
    trunk_weights: Path | None = None


@pytest.mark.parametrize(
    ("config", "start_from", "words"),
    [
        (WithTrunk(), "lwl-small", "the network starts from the weights lwl-small"),
        (WithTrunk(Path("t.pth")), None, "the trunk starts from t.pth, everything else"),
        (WithTrunk(), None, "its trunk included, starts from random weights"),
        (object(), None, "starts as the recipe says"),
    ],
)
def test_the_start_is_described(config, start_from, words):
    assert words in describe_start(config, start_from)


def test_the_first_validation_is_announced_with_its_parts():
    said = describe_first_validation(ToyInParts(ToyConfig()))
    assert said.startswith("validating before the first step, in 3 parts")


def test_the_first_step_is_timed_alone_and_the_rest_from_those_after_it():
    seconds = iter([100.0, 130.0, 130.0, *range(132, 132 + 2 * STEPS_TIMED, 2), 999.0])
    pace = Pace(lambda: next(seconds))
    said = [pace.after(step, left=1000 - step) for step in range(1, STEPS_TIMED + 3)]
    assert said[0] == "the first step took 30.0 s, loading of data included"
    left = 1000 - 1 - STEPS_TIMED  # at two seconds each
    assert (
        said[STEPS_TIMED] == f"about {in_hours(2 * left)} left for {left} steps, without validation"
    )
    assert [line for line in said if line] == [said[0], said[STEPS_TIMED]]


def test_a_run_that_ends_with_the_measurement_has_nothing_left():
    pace = Pace(lambda: 0.0)
    assert pace.after(1 + STEPS_TIMED, left=0) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (89, "89 s"), (90, "2 min"), (7500, "2 h 05 min")]
)
def test_times_are_written_for_people(seconds, text):
    assert in_hours(seconds) == text
