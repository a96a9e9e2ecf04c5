"""Measure what ``maskcast batch`` adds to segmenting, as multiples of Y in the same run.

    python benchmarks/batch/batch_costs.py [--rows N] [--videos N] [--ray ADDRESS]

Y is one forward pass of a ResNet-50 (docs/speed.md), here in processor time of one thread, as all
other times are, so that other work on the machine changes little. Prints a table with the targets,
and exits with 1 if one is missed.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import torch
import tyro
from PIL import Image

from maskcast.batch.dispatch import Dispatcher
from maskcast.batch.engine import Assignment, Engine
from maskcast.batch.job import BatchSettings, ModelChoice, VideoJob
from maskcast.batch.manifest import Manifest
from maskcast.batch.members import QueuedVideo
from maskcast.batch.policy import BatchPolicy
from maskcast.batch.processes import ProcessEngine
from maskcast.batch.ray_cluster import RayEngine
from maskcast.batch.ray_connection import RayOptions, join_cluster
from maskcast.batch.rows import RowRules
from maskcast.batch.worker import VideoWorker
from maskcast.batch.worker_line import WorkerSetup
from maskcast.bench.yardstick import Yardstick
from maskcast.cli.batch import _make_source
from maskcast.io.label_maps import write_label_map

HEIGHT, WIDTH, FRAMES = 480, 854, 2
NO_OPS = 1000
"""Number of videos without work."""
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    what: str
    value: float
    unit: str
    most: float | None = None
    """Largest value that meets the target; None if there is no target."""

    @property
    def is_missed(self) -> bool:
        return self.most is not None and self.value > self.most


def main(rows: int = 100_000, videos: int = 40, ray: str | None = None) -> int:
    """Print the table, and return the exit code.

    Args:
        rows: rows of the manifest that is planned.
        videos: number of videos of two frames that one worker segments.
        ray: address of a Ray cluster with two free CPUs.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results = list(_results(Path(folder), rows, videos, ray))
    for row in results:
        target = "" if row.most is None else f"at most {row.most:g}"
        missed = "MISSED" if row.is_missed else ""
        print(f"{row.what:<52} {row.value:10.4g} {row.unit:<7} {target} {missed}")
    return int(any(row.is_missed for row in results))


def _results(folder: Path, rows: int, videos: int, ray: str | None) -> Iterator[Measured]:
    yardstick = Yardstick(torch.device("cpu"))
    y = median([_processor_seconds(yardstick) for _ in range(7)][2:])
    yield Measured("Y in processor time", 1000 * y, "ms")
    yield from _planning(folder, rows)
    engine: Engine = ProcessEngine(_setup(folder), module="no_op_worker")
    yield Measured("dispatcher, per video, two processes", _dispatching(engine) / y, "Y", 0.005)
    if ray is not None:
        engine = RayEngine(_setup(folder), join_cluster(RayOptions(address=ray)), module=_NO_OP)
        yield Measured("dispatcher, per video, two Ray actors", _dispatching(engine) / y, "Y", 0.05)
    yield from _worker(folder, videos, y)


def _processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _planning(folder: Path, rows: int) -> Iterator[Measured]:
    """Check a manifest, and find its first video."""
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for number in range(rows):
            row = {"id": f"s{number % 997}/v{number}", "video": f"in/{number}.mp4"}
            row |= {"masks": f"in/{number}.png"}
            file.write(json.dumps({**row, "seconds": 60.0, "priority": number % 3}) + "\n")
    memory = psutil.Process().memory_info
    began, before = time.process_time(), memory().rss
    manifest = Manifest(path, RowRules(folder=folder))
    manifest.job(0)
    seconds, grown = time.process_time() - began, memory().rss - before
    manifest.close()
    yield Measured("planning, per 10^6 rows", seconds * 1e6 / rows, "s", 10)
    yield Measured("planning, memory per 10^6 rows", grown / MIB * 1e6 / rows, "MiB", 200)


_NO_OP = "no_op_worker"


def _setup(folder: Path, *, work: str = "work") -> WorkerSetup:
    return WorkerSetup(
        make_source=_make_source,
        settings=BatchSettings(device="cpu"),
        output=folder / "out",
        work=folder / work,
        logs=folder / "logs",
        model=ModelChoice(weights="lwl-small"),
    )


def _assignments(folder: Path, count: int) -> Iterator[Assignment]:
    for number in range(count):
        name = f"v{number}"
        job = VideoJob(id=name, video=folder / "clip", masks=(folder / "clip.png",))
        yield Assignment(job=job, folder=Path(name), request=name, input=name)


def _dispatching(engine: Engine) -> float:
    """Return the dispatcher's processor time per video, with two workers that do nothing."""
    queue = (QueuedVideo(work) for work in _assignments(Path(), NO_OPS))
    dispatcher = Dispatcher(queue, engine, BatchPolicy(jobs=2), lambda *_, **__: None)
    return _processor_seconds(dispatcher.run) / NO_OPS


def _worker(folder: Path, videos: int, y: float) -> Iterator[Measured]:
    """Segment short videos with one warm worker, and one with a new process."""
    _write_clip(folder)
    worker = VideoWorker(_setup(folder), lambda _: None, threading.Event())
    worker.prepare()
    seconds, sizes = [], []
    for work in _assignments(folder, videos):
        seconds.append(_processor_seconds(partial(worker.do, work)))
        sizes.append(psutil.Process().memory_info().rss)
    warm = median(seconds[2:])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "maskcast.cli.main", "segment", str(folder / "clip")]
    command += ["--masks", str(folder / "clip.png"), "--output", str(folder / "alone")]
    command += ["--weights", "lwl-small", "--device", "cpu", "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    fresh = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    yield Measured("warm worker, video of two frames", warm / y, "Y", 1)
    yield Measured("the same, of what a new process takes", warm / fresh, "×", 0.1)
    tenth = sizes[videos // 10]
    yield Measured(
        f"memory after {videos} videos, of that after a tenth", sizes[-1] / tenth, "×", 1.05
    )


def _write_clip(folder: Path) -> None:
    """Write a clip of noise with a bright square that moves."""
    (folder / "clip").mkdir()
    noise = np.random.default_rng(0).integers(0, 90, (HEIGHT, WIDTH, 3), np.uint8)
    for index in range(FRAMES):
        frame, labels = noise.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        place = np.s_[100:200, 100 + 9 * index : 200 + 9 * index]
        frame[place], labels[place] = 220, 1
        Image.fromarray(frame).save(folder / "clip" / f"{index:05d}.png")
        if not index:
            write_label_map(folder / "clip.png", labels)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
