"""Tiny data sets in the layouts of the benchmarks: squares that move, one for each object."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from maskcast.io.label_maps import write_label_map

SIZE = (24, 40)
FRAMES = 6


def square(object_id: int, frame_index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """An object's true mask: 7 × 7 pixels, each frame one pixel to the right, ids far apart."""
    mask = np.zeros(size, np.bool_)
    top, left = 2 + (object_id - 1) % 3 * 8, 3 + frame_index
    mask[top : top + 7, left : left + 7] = True
    return mask


def label_map(ids: Sequence[int], frame_index: int, shift: int = 0) -> np.ndarray:
    """The true label map, or one moved to the right by ``shift`` pixels."""
    painted = np.zeros(SIZE, np.int32)
    for object_id in ids:
        painted[square(object_id, frame_index + shift)] = object_id
    return painted


def write_image(path: Path, frame_index: int, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), 60, np.uint8)
    for object_id in (1, 2, 3):
        pixels[square(object_id, frame_index, size)] = 50 * object_id + 90
    Image.fromarray(pixels).save(path)


def davis2017(
    root: Path,
    videos: Mapping[str, Mapping[int, int]],
    *,
    split: str = "val",
    images: bool = True,
    frames: int = FRAMES,
) -> Path:
    """Write a set in the layout of DAVIS 2017.

    Args:
        root: made if need be.
        videos: by name, the first frame of each object id.
        split: name of the list.
        images: write them too.
        frames: of each video.
    """
    names = root / "ImageSets" / "2017" / f"{split}.txt"
    names.parent.mkdir(parents=True, exist_ok=True)
    names.write_text("".join(f"{name}\n" for name in videos))
    for name, objects in videos.items():
        for index in range(frames):
            there = [object_id for object_id, first in objects.items() if first <= index]
            mask = root / "Annotations" / "480p" / name / f"{index:05d}.png"
            write_label_map(mask, label_map(there, index))
            if images:
                write_image(root / "JPEGImages" / "480p" / name / f"{index:05d}.jpg", index)
    return root


def youtube_vos(root: Path, videos: Mapping[str, Mapping[int, int]], *, split: str) -> Path:
    """Write a split in the layout of YouTube-VOS, every frame annotated, names by fives."""
    meta: dict[str, object] = {}
    for name, objects in videos.items():
        entries = {}
        names = [f"{5 * index:05d}" for index in range(FRAMES)]
        for object_id, first in objects.items():
            category = "cat" if object_id == 1 else "sloth"
            entries[str(object_id)] = {"category": category, "frames": names[first:]}
        meta[name] = {"objects": entries}
        for index, frame in enumerate(names):
            there = [object_id for object_id, first in objects.items() if first <= index]
            mask = root / split / "Annotations" / name / f"{frame}.png"
            write_label_map(mask, label_map(there, index))
            write_image(root / split / "JPEGImages" / name / f"{frame}.jpg", index)
    (root / split / "meta.json").write_text(json.dumps({"videos": meta}))
    return root


def write_predictions(
    folder: Path, videos: Mapping[str, Sequence[int]], *, shift: int = 0, frames: int = FRAMES
) -> Path:
    """Write ``folder/<video>/<frame>.png``: the truth moved by ``shift`` pixels."""
    for name, ids in videos.items():
        for index in range(frames):
            write_label_map(folder / name / f"{index:05d}.png", label_map(ids, index, shift))
    return folder


def zipped(folder: Path) -> Path:
    """Return a ZIP of a folder's content, beside it."""
    return Path(shutil.make_archive(str(folder), "zip", folder))


def members(path: Path) -> dict[str, bytes]:
    """Return the content of an archive by name, in its order."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, content: Mapping[str, bytes]) -> Path:
    """Write an archive with these members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path
