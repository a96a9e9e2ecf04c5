"""Measure bytes and processor time per frame of the two forms in which a run stores its masks.

    python benchmarks/runs/mask_stores.py /data/DAVIS/Annotations/480p

Every folder of label maps below the given one is a video. Times are processor time of one thread.
Prints a table, and exits with 1 if run lengths miss a target.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import tyro
from tyro.conf import Positional

from maskcast.core.arrays import LabelArray
from maskcast.io.label_maps import read_label_map
from maskcast.runs.masks import FoundObject, MaskForm, mask_store

BYTES, TIME = 0.35, 0.4
"""Targets for run lengths, relative to PNGs."""


@dataclass
class Cost:
    """Sums over frames."""

    frames: int = 0
    bytes: int = 0
    """Sizes of the files when the run is finished."""
    write: float = 0.0
    """Seconds, compression at the end included."""
    read: float = 0.0
    """Seconds, opening included."""

    def add(self, other: Cost) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def cost_of(form: MaskForm, label_maps: Sequence[LabelArray], folder: Path) -> Cost:
    """Write a video, finish it, and read it again."""
    confidences = [
        {int(i): FoundObject(1, 0.97) for i in np.unique(label_map) if i}
        for label_map in label_maps
    ]
    began = time.process_time()
    written = mask_store(form, folder, str)
    for frame_index, label_map in enumerate(label_maps):
        written.write(frame_index, label_map, confidences[frame_index])
    written.finish()
    write = time.process_time() - began
    size = sum(path.stat().st_size for path in folder.iterdir())
    began = time.process_time()
    store = mask_store(form, folder, str)
    found = [store.read(frame_index) for frame_index in range(len(label_maps))]
    read = time.process_time() - began
    for one, other in zip(found, label_maps, strict=True):
        np.testing.assert_array_equal(one, other)
    return Cost(len(label_maps), size, write, read)


def main(folder: Positional[Path]) -> int:
    """Measure both forms.

    Args:
        folder: holds a folder of label maps for each video.
    """
    videos = sorted({path.parent for path in folder.rglob("*.png")})
    costs: dict[MaskForm, Cost] = {"png": Cost(), "rle": Cost()}
    with tempfile.TemporaryDirectory() as temporary:
        for number, video in enumerate(videos):
            label_maps = [read_label_map(path) for path in sorted(video.glob("*.png"))]
            for form, cost in costs.items():
                cost.add(cost_of(form, label_maps, Path(temporary) / f"{number}-{form}"))
    png, rle = costs["png"], costs["rle"]
    print(f"{len(videos)} videos, {png.frames} frames\n")
    print("| | bytes/frame | write, ms/frame | read, ms/frame |\n|---|---|---|---|")
    for form, cost in costs.items():
        shares = cost.bytes / cost.frames, 1e3 * cost.write / cost.frames, 1e3 * cost.read
        print(f"| {form} | {shares[0]:.0f} | {shares[1]:.2f} | {shares[2] / cost.frames:.2f} |")
    ratios = (rle.bytes / png.bytes, rle.write / png.write, rle.read / png.read)
    print(f"| rle / png | {ratios[0]:.2f} | {ratios[1]:.2f} | {ratios[2]:.2f} |")
    in_time = (rle.write + rle.read) <= TIME * (png.write + png.read)
    return 0 if ratios[0] <= BYTES and in_time else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
