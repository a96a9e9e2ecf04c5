"""Show that memory does not grow with the length of a video: resident size over 5,000 frames.

    python benchmarks/memory/flat.py [--frames N] [--every N] [--weights lwl-small | --tiny agame]

A synthetic clip, played forward and backward repeatedly, is written to a video file. The file is
then processed as by ``maskcast segment``: decoded and segmented, with masks and states written to a
run folder, and read again for the exports. Exits with 1 if the resident size in either pass is ever
more than 5 % above that at frame 200.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from maskcast.core.arrays import Picture
from maskcast.core.config import options_from, with_options
from maskcast.core.heap import keep_freed_memory
from maskcast.core.segmenter import VideoSegmenter
from maskcast.data.synthetic.demo import make_demo_clip
from maskcast.io.label_maps import write_label_map
from maskcast.io.prompts.reading import read_prompts
from maskcast.io.video.reader import Timing
from maskcast.io.video.source import open_frames
from maskcast.io.video.writer import open_video_writer
from maskcast.methods.catalogue import METHODS, choose_weights
from maskcast.methods.spec import build
from maskcast.runs.export_settings import Exports
from maskcast.runs.exports import export
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest
from maskcast.runs.segmentation import segment_into

FIRST_LOOK = 200
"""Frames after which caches are full, and the memory of the method too."""
MOST_GROWTH = 5.0
"""Percent."""
SIZE = (120, 208)
"""Height and width of the video."""


class Watch:
    """Measures the resident size of this process while it works."""

    def __init__(self, every: int) -> None:
        self.growth = 0.0
        """Percent, the largest so far."""
        self._every = every
        self._first: dict[str, float] = {}
        self._process = psutil.Process()

    def __call__(self, work: str, done: int, total: int | None) -> None:
        """Print the size at frames that are due, and its growth since the first look."""
        if done < FIRST_LOOK or (done > FIRST_LOOK and done % self._every):
            return
        size = self._process.memory_info().rss / 2**20
        growth = 100 * (size / self._first.setdefault(work, size) - 1)
        self.growth = max(self.growth, growth)
        print(f"{work:7}  frame {done:5d}  {size:7.1f} MiB  {growth:+5.1f} %", flush=True)


def measure(segmenter: VideoSegmenter[Any], frames: int, watch: Watch) -> None:
    """Segment a video of so many frames, and make its exports."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_video(folder, frames)
        source = open_frames(folder / "video.mp4")
        given = read_prompts([folder / "first.png"], names=source.names, size=source.size)
        request = RunRequest(
            method="", weights="", weights_sha256="", input="video.mp4", input_sha256=""
        )
        run = open_run(folder / "masks", request, frame_name=source.names.__getitem__)
        segment_into(run, segmenter, source.frames, given.by_frame, progress=watch)
        wanted = Exports(overlay=True, rle=True, tracks=True, contact_sheet=True)
        export(run, source, wanted, progress=watch)


def write_video(folder: Path, frames: int) -> None:
    """Write the synthetic clip, played back and forth, as ``video.mp4``, with its first masks."""
    clip = make_demo_clip(size=SIZE)
    write_label_map(folder / "first.png", clip.label_maps[0])
    timing = Timing(Fraction(1, 24), range(frames))
    path, parts = folder / "video.mp4", folder / "parts"
    with open_video_writer(path, "h264", size=SIZE, timing=timing, parts=parts) as (_, write):
        for picture in islice(to_and_fro(list(clip.frames)), frames):
            write(picture)


def to_and_fro(pictures: Sequence[Picture]) -> Iterator[Picture]:
    """Play a clip forward and backward for ever."""
    while True:
        yield from (*pictures, *pictures[-2:0:-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--every", type=int, default=1000)
    parser.add_argument("--weights", default="lwl-small")
    parser.add_argument("--tiny", choices=METHODS, help="the smallest seeded network of a method")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    keep_freed_memory()
    options = options_from(given.option)
    if given.tiny:
        method = METHODS[given.tiny]
        chosen = method.build(with_options(method.tiny(), options), None)
    else:
        chosen = build(choose_weights(given.weights, None), options=options)
    look = Watch(given.every)
    measure(chosen, given.frames, look)
    sys.exit(1 if look.growth > MOST_GROWTH else 0)
