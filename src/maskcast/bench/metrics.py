"""Benchmark J and F against a plain implementation of their definition, in one run.

The masks are smooth blobs that cover a given share of a 480×854 frame, like segmented objects, and
noise as the worst case. Results are compared with the plain implementation before they are timed.
Times per frame are CPU times of one thread, so that other work on the machine does not affect them.
Requires OpenCV.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcast.bench.benchmarked import Cases
from maskcast.bench.plain_metrics import plain_contour_accuracy, plain_region_similarity
from maskcast.bench.synthetic import FRAME_SIZE
from maskcast.io.label_maps import encode_label_map
from maskcast.metrics.frame import score_object

SHARES = {"object of 1 %": 0.01, "object of 4 %": 0.04, "object of 15 %": 0.15}
REPEATS = 40
VIDEOS, FRAMES, OBJECTS = 30, 2000, 61
"""Size of a data set as large as DAVIS 2017 val."""
LENGTHS = (100, 2000)
"""Lengths in frames of the videos for which the memory of scoring is measured."""


def bench() -> Cases:
    """Return times per object and frame, times of a whole data set, and memory by video length."""
    cv2.setNumThreads(1)
    pairs = {name: _pair(share) for name, share in SHARES.items()}
    pairs["noise all over"] = _noise()
    figures = {name: _per_frame(*pair) for name, pair in pairs.items()}
    with tempfile.TemporaryDirectory() as folder:
        figures["DAVIS-2017-val-sized set"] = _whole_set(Path(folder))
        figures["memory"] = _memory(Path(folder))
    return figures


def _per_frame(prediction: NDArray[np.bool_], ground_truth: NDArray[np.bool_]) -> dict[str, float]:
    def plainly() -> tuple[float, float]:
        J = plain_region_similarity(prediction, ground_truth)
        return J, plain_contour_accuracy(prediction, ground_truth)

    assert score_object(prediction, ground_truth) == plainly()
    slow, fast = (
        _milliseconds(plainly),
        _milliseconds(lambda: score_object(prediction, ground_truth)),
    )
    return {"plain ms": slow, "maskcast ms": fast, "times faster": slow / fast}


def _milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        times.append(1000 * (time.process_time() - began))
    return median(times)


def _blob(share: float, seed: int) -> NDArray[np.float32]:
    """Return a smooth height map; the pixels above one of its quantiles form an object."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(6, 10)).astype(np.float32)
    smooth = cv2.resize(coarse, FRAME_SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    all_rows, all_columns = FRAME_SIZE
    rows, columns = np.mgrid[:all_rows, :all_columns]
    middle = (all_rows * random.uniform(0.35, 0.65), all_columns * random.uniform(0.3, 0.7))
    far = np.hypot(rows - middle[0], columns - middle[1]) / np.sqrt(share * all_rows * all_columns)
    height: NDArray[np.float32] = (0.35 * smooth - far).astype(np.float32)
    return height


def _pair(share: float, seed: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a predicted and a true mask, which differ by a small shift and in their edges."""
    height = _blob(share, seed)
    level = np.quantile(height, 1 - share)
    ground_truth = height > level
    edge = cv2.resize(
        np.random.default_rng(seed + 1).normal(size=(60, 107)).astype(np.float32), FRAME_SIZE[::-1]
    )
    prediction = np.roll(height, 3, axis=1) + 0.04 * edge > level
    return prediction, ground_truth


def _noise() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    prediction, ground_truth = random.random((2, *FRAME_SIZE)) < 0.5
    return prediction, ground_truth


def _label_maps(objects: int, seed: int) -> tuple[bytes, bytes]:
    """Return ground truth and prediction of one frame as PNGs."""
    painted = np.zeros((2, *FRAME_SIZE), np.int32)
    for object_id in range(1, objects + 1):
        for plane, mask in zip(painted, _pair(0.04, seed + 10 * object_id), strict=True):
            plane[mask] = object_id
    return encode_label_map(painted[1]), encode_label_map(painted[0])


def _write_set(root: Path, videos: dict[str, tuple[int, int]]) -> None:
    """Write annotations and predictions of videos, given as name to (frames, objects)."""
    names = root / "ImageSets" / "2017" / "val.txt"
    names.parent.mkdir(parents=True)
    names.write_text("\n".join(videos))
    made: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    for name, (frames, objects) in videos.items():
        ground_truth, results = root / "Annotations" / "480p" / name, root / "results" / name
        ground_truth.mkdir(parents=True)
        results.mkdir(parents=True)
        for index in range(frames):
            look = (objects, index % 5)
            if look not in made:
                made[look] = _label_maps(*look)
            (ground_truth / f"{index:05d}.png").write_bytes(made[look][0])
            (results / f"{index:05d}.png").write_bytes(made[look][1])


def _whole_set(folder: Path) -> dict[str, float]:
    frames, objects = [FRAMES // VIDEOS] * VIDEOS, [OBJECTS // VIDEOS] * VIDEOS
    for index in range(FRAMES % VIDEOS):
        frames[index] += 1
    for index in range(OBJECTS % VIDEOS):
        objects[index] += 1
    shapes = zip(frames, objects, strict=True)
    _write_set(folder / "set", {f"v{index:02d}": shape for index, shape in enumerate(shapes)})
    before = _processor_seconds()
    alone, memory = _run(folder / "set", jobs=1)
    spent = _processor_seconds() - before
    together, _ = _run(folder / "set", jobs=2)
    apart = _two_at_once(folder / "set")
    return {
        "s, 1 process": alone,
        "s, 2 processes": together,
        "s, 2 runs at once": apart,
        "% of ideal": 100 * apart / 2 / together,
        "s of processor": spent,
        "MB": memory,
    }


def _two_at_once(root: Path) -> float:
    """Return the seconds that two separate runs take at the same time.

    Half of it is a lower bound for one run with two processes on this machine, whose cores share
    memory and caches.
    """
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: _run(root, jobs=1), range(2)))
    return time.perf_counter() - began


def _processor_seconds() -> float:
    """Return the CPU time in seconds of all finished child processes; 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system


def _memory(folder: Path) -> dict[str, float]:
    figures = {}
    for frames in LENGTHS:
        root = folder / str(frames)
        _write_set(root, {"long": (frames, 2)})
        figures[f"MB, {frames} frames"] = _run(root, jobs=1)[1]
        shutil.rmtree(root)
    return figures


def _run(root: Path, *, jobs: int) -> tuple[float, float]:
    """Run ``maskcast score``; return its seconds and the peak memory of its main process in MiB."""
    command = ["score", "davis2017", "--root", str(root), "--results", str(root / "results")]
    program = (
        "import sys; from maskcast.bench.memory import process_peak_mib; "
        "from maskcast.cli.main import main; code = main(sys.argv[1:]); "
        "print(process_peak_mib()); sys.exit(code)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--jobs", str(jobs)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return time.perf_counter() - began, float(done.stdout.split()[-1])
