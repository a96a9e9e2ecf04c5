"""Measure what commands cost before they do their work: processor time and loaded modules.

    python benchmarks/startup/startup.py [--repeats N]

Runs every help text and some errors of the argument parser in fresh interpreters. Prints the median
of their processor time (user and system, all threads), the number of modules they load, and the
slow ones among these. Finally ``maskcast segment`` segments two small frames; its time is given
without that of ``import torch``. Exits with 1 if a help text or an error takes more than half a
second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from maskcast.cli.main import COMMANDS
from maskcast.methods.recipes import RECIPES

MOST_SECONDS = 0.5
SLOW_MODULES = ("torch", "torchvision", "av", "numpy", "PIL", "rich")
HELP = [["--help"]] + [[command, "--help"] for command in COMMANDS]
HELP += [["weights", "import", "--help"], ["train", "--list"]]
HELP += [["train", next(iter(recipes)), "--help"] for recipes in RECIPES.values()]
ERRORS = [
    ["sgment"],
    ["segment"],
    ["segment", "video.mp4", "--maks", "first.png"],
    ["evaluate", "davis2017"],
    ["weights", "import"],
    ["train", "nothing"],
    ["train", "lwl-small", "--loop.epoch", "3"],
]
COUNT_MODULES = """
import sys
from maskcast.cli.main import main
try:
    main(sys.argv[2:])
except SystemExit:
    pass
slow = [name for name in sys.argv[1].split() if name in sys.modules]
print(len(sys.modules), " ".join(slow), file=sys.stderr)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the median is taken")
    repeats = parser.parse_args(arguments).repeats
    slowest = 0.0
    for command_line in [*HELP, *ERRORS]:
        seconds = median(command_seconds(command_line) for _ in range(repeats))
        slowest = max(slowest, seconds)
        print(f"{seconds:6.2f} s  {modules(command_line):30}  maskcast {' '.join(command_line)}")
    print(f"{slowest:6.2f} s at most; the limit is {MOST_SECONDS} s")
    torch = median(processor_seconds(["-c", "import torch"]) for _ in range(repeats))
    with tempfile.TemporaryDirectory() as folder:
        segment = median(segment_seconds(Path(folder)) for _ in range(repeats))
    print(f"{torch:6.2f} s  import torch")
    print(f"{segment - torch:6.2f} s  beyond that: maskcast segment on two frames of 64×96")
    return int(slowest > MOST_SECONDS)


def command_seconds(command_line: Sequence[str]) -> float:
    """Return the processor time of one command line."""
    return processor_seconds(["-m", "maskcast.cli.main", *command_line])


def segment_seconds(folder: Path) -> float:
    """Return the processor time of segmenting two frames, on one thread."""
    generator = np.random.default_rng(0)
    (folder / "video").mkdir(exist_ok=True)
    for frame_index in range(2):
        pixels = generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "video" / f"{frame_index:05d}.png")
    given = ["--box", "20,20,24,24", "--device", "cpu", "--threads", "1", "--overwrite"]
    output = ["-o", str(folder / "masks")]
    return command_seconds(["segment", str(folder / "video"), *given, *output])


def processor_seconds(arguments: Sequence[str]) -> float:
    """Return user and system time of a fresh interpreter."""
    before = os.times()
    subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def modules(command_line: Sequence[str]) -> str:
    """Return how many modules a command line loads, and the slow ones among them."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_MODULES, " ".join(SLOW_MODULES), *command_line],
        capture_output=True,
        text=True,
        check=True,
    )
    count, *slow = done.stderr.splitlines()[-1].split()
    return f"{count} modules {' '.join(slow)}"


if __name__ == "__main__":
    sys.exit(main())
