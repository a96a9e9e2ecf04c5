"""Simulate a batch of very many videos, to see what a design costs before anybody pays for it.

    python benchmarks/batch/simulation.py [--videos N] [--workers N] [--fps F] [--dispatch SECONDS]

Every worker segments one video after the other. The dispatcher takes a fixed time per video, one
after the other. Machines die at random and lose the work since the last saved state, some videos
are broken, and some kill their worker three times. Without fetching ahead, copying comes before
the work. Prints hours of workers, days, efficiency and cost.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

import tyro


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What is simulated; times in seconds."""

    videos: int = 100_000
    workers: int = 64
    frames: float = 1800.0
    """Frames per video."""
    fps: float = 280.0
    """Frames per second of a worker."""
    dispatch: float = 0.002
    """Time of the dispatcher per video."""
    fetch: float = 0.3
    """Time to copy a video to the worker."""
    fetches_ahead: bool = False
    """Copy the next video while one is segmented."""
    commit: float = 0.2
    """Time to upload the results, which nothing hides."""
    start: float = 30.0
    """Time until a new worker is ready."""
    mean_life: float = 20 * 3600.0
    """Mean time until a machine dies."""
    save_every: float = 30.0
    """Time between two saved states that another machine finds."""
    broken: float = 0.001
    """Share of videos that cannot be read; they cost a second."""
    poison: float = 0.0001
    """Share of videos that kill their worker three times."""
    price: float = 3.0
    """Price of a worker-hour."""
    seed: int = 1


@dataclass(frozen=True)
class Simulated:
    """How it went; times in seconds."""

    wall: float
    paid: float
    """Worker-seconds, from the first to the last video."""
    useful: float
    """Worker-seconds that end in masks."""
    died: int
    """Machines that died with a video."""


def simulate(fleet: Fleet) -> Simulated:
    """Let all workers work through all videos."""
    chance = random.Random(fleet.seed)
    free = [(fleet.start, number) for number in range(fleet.workers)]
    dies = [chance.expovariate(1 / fleet.mean_life) for _ in range(fleet.workers)]
    heapq.heapify(free)
    dispatcher, latest, useful, died = 0.0, 0.0, 0.0, 0
    work = fleet.frames / fleet.fps
    for _ in range(fleet.videos):
        at, worker = heapq.heappop(free)
        dispatcher = max(dispatcher, at) + fleet.dispatch
        kind = chance.random()
        hidden = work if fleet.fetches_ahead else 0.0
        end = dispatcher + max(fleet.fetch - hidden, 0.0)
        if kind < fleet.broken:
            end += 1.0
        elif kind < fleet.broken + fleet.poison:
            end += 3 * (fleet.start + work / 2)
        else:
            useful += work
            end += work + fleet.commit
            while dies[worker] < end:  # continues elsewhere from the last state
                died += 1
                lost = min(fleet.save_every * chance.random(), work)
                end += fleet.start + lost
                dies[worker] = end + chance.expovariate(1 / fleet.mean_life)
        latest = max(latest, end)
        heapq.heappush(free, (end, worker))
    return Simulated(latest, latest * fleet.workers, useful, died)


def main(fleet: Fleet) -> None:
    """Print what the batch of a fleet takes."""
    simulated = simulate(fleet)
    hours = simulated.paid / 3600
    print(f"worker-hours         {hours:12.1f}")
    print(f"days                 {simulated.wall / 86400:12.3f}")
    print(f"efficiency           {100 * simulated.useful / simulated.paid:11.1f}%")
    print(f"videos/s             {fleet.videos / simulated.wall:12.2f}")
    print(f"machines that died   {simulated.died:12d}")
    print(f"cost                 {round(hours * fleet.price):12d}")


if __name__ == "__main__":
    main(tyro.cli(Fleet))
