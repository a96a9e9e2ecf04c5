"""Compare the time of a frame in two versions of the package, with default weights and settings.

    git archive 60afa6f src | tar -x -C OLD      # version 0.1
    python benchmarks/versions/two_versions.py OLD/src [--objects 1 3 10] [--rounds 3]

Both versions run in turns, each in a new process, on the same synthetic frames of 480×854: as many
frames as fill the memory of either, then those that are timed. Prints, for each number of objects
and both layouts, the medians of wall time and processor time per frame, and the ratio of new to
old. Medians of wall time say something only on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

NEW = Path(__file__).resolve().parents[2] / "src"
FOLLOW = """
import json, sys, time
import numpy as np, torch, maskcast

objects, close, filling, frames, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
background = np.random.default_rng(0).integers(40, 120, (480, 854, 3), np.uint8)
patches = np.random.default_rng(1).integers(120, 255, (10, 60, 60, 3), np.uint8)
top, left, gap = (140, 260, 4) if close else (20, 40, 100)

def corners(index):
    for number in range(objects):
        row, column = divmod(number, 4)
        yield number, top + row * (60 + gap), left + column * (60 + gap) + 2 * (index % 20)

def frame(index):
    picture = background.copy()
    for number, y, x in corners(index):
        picture[y : y + 60, x : x + 60] = patches[number]
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255

masks = {}
for number, y, x in corners(0):
    masks[number + 1] = torch.zeros(480, 854, dtype=torch.bool)
    masks[number + 1][y : y + 60, x : x + 60] = True
segmenter = maskcast.load_segmenter(device="cpu")
state, _ = segmenter.step(segmenter.start(), frame(0), masks)
for index in range(1, filling):
    state, _ = segmenter.step(state, frame(index))
shown = [frame(filling + index) for index in range(frames)]
wall, processor = time.perf_counter(), time.process_time()
for picture in shown:
    state, _ = segmenter.step(state, picture)
spent = time.perf_counter() - wall, time.process_time() - processor
print(json.dumps([seconds / frames for seconds in spent]))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "old", type=Path, help="folder with the package maskcast of the old version"
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--rounds", type=int, default=3, help="runs of which the median is taken")
    parser.add_argument("--filling", type=int, default=34, help="frames before the timed ones")
    parser.add_argument("--frames", type=int, default=8, help="timed frames; an even number")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    print("| case | old ms | new ms | wall new/old | processor new/old |\n|---|---|---|---|---|")
    for objects in options.objects:
        for close in (False, True) if objects > 1 else (False,):
            how = (objects, int(close), options.filling, options.frames, options.threads)
            pairs = [(follow(options.old, how), follow(NEW, how)) for _ in range(options.rounds)]
            (old, old_cpu), (new, new_cpu) = (
                [median(pair[side][kind] for pair in pairs) for kind in (0, 1)] for side in (0, 1)
            )
            name = f"shipped_{objects}{'_overlapping' if close else ''}"
            ratios = f"{new / old:.2f} | {new_cpu / old_cpu:.2f}"
            print(f"| {name} | {1000 * old:.0f} | {1000 * new:.0f} | {ratios} |", flush=True)
    return 0


def follow(source: Path, how: Sequence[int]) -> tuple[float, float]:
    """Return wall and processor time per frame, in seconds, of the package in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW, *map(str, how)],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    wall, processor = json.loads(done.stdout.splitlines()[-1])
    return wall, processor


if __name__ == "__main__":
    sys.exit(main())
