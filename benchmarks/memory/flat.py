"""Show that memory does not grow with the length of a video: resident size over 5,000 frames.

    python benchmarks/memory/flat.py [--frames 5000] [--weights lwl-small]

The demonstration's clip is played to and fro into a run folder, masks and states written.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch

from maskcast.core.types import Frame
from maskcast.data.made_up_demo import make_demo_clip
from maskcast.methods.catalogue import build, choose_weights
from maskcast.runs.card import RunRequest
from maskcast.runs.folder import open_run
from maskcast.runs.segmentation import segment_into

FIRST_LOOK = 200
"""Frames after which caches are full and the memory of the method is too."""


def measure(frames: int, weights_name: str) -> None:
    """Print the resident size every so often, and how much it grew since ``FIRST_LOOK``."""
    weights = choose_weights(weights_name, None)
    clip = make_demo_clip()
    first = torch.from_numpy(clip.label_maps[0])
    prompts = {0: {object_id: first == object_id for object_id in clip.ids}}
    request = RunRequest(
        method=weights.method, weights=weights.name, weights_sha256=weights.sha256,
        input="demonstration", input_sha256="",
    )  # fmt: skip
    process, sizes = psutil.Process(), {}

    def watch(work: str, done: int, total: int | None) -> None:
        if done == FIRST_LOOK or done % 500 == 0:
            sizes[done] = process.memory_info().rss / 2**20
            growth = 100 * (sizes[done] / sizes[min(sizes)] - 1)
            print(f"frame {done:6d}  {sizes[done]:8.1f} MiB  {growth:+.1f} %", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        run = open_run(Path(folder), request, frame_name=lambda index: f"{index:05d}")
        source = islice(to_and_fro(clip.frames), frames)
        segment_into(run, build(weights), lambda start: source, prompts, progress=watch)


def to_and_fro(pictures: Iterable[np.ndarray]) -> Iterator[Frame]:
    """Play a clip forward and backward for ever."""
    forward = [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in pictures]
    while True:
        for picture in (*forward, *forward[-2:0:-1]):
            yield picture.float() / 255


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--weights", default="lwl-small")
    given = parser.parse_args()
    measure(given.frames, given.weights)
