"""The number of processors on each kind of system, by what its ``os`` module has."""

from __future__ import annotations

import os

import pytest

from maskcast.core.processors import processor_count

NAMES = ("process_cpu_count", "sched_getaffinity", "cpu_count")


@pytest.fixture
def system(monkeypatch):
    """Leave only these functions in ``os``."""

    def only(**functions):
        for name in NAMES:
            monkeypatch.delattr(os, name, raising=False)
        for name, function in functions.items():
            monkeypatch.setattr(os, name, function, raising=False)

    return only


def test_linux_counts_the_processors_of_this_process(system):
    system(sched_getaffinity=lambda process: {2, 5, 7}, cpu_count=lambda: 64)
    assert processor_count() == 3


def test_python_3_13_knows_it_by_itself(system):
    system(process_cpu_count=lambda: 6, sched_getaffinity=lambda process: {1}, cpu_count=lambda: 64)
    assert processor_count() == 6


def test_macos_and_windows_count_all(system):
    system(cpu_count=lambda: 8)
    assert processor_count() == 8


def test_a_system_that_does_not_say_has_one(system):
    system(cpu_count=lambda: None)
    assert processor_count() == 1
