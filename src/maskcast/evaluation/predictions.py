"""Finding a video's predicted masks among the files of a folder or an archive.

What is looked for is ``<video>/<frame>.png``, or ``<video>/<object>/<frame>.png`` in sets with a
folder for each object; above the videos any folders may lie (``Annotations/``, ``results/480p/``).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from PIL import Image

from maskcast.core.errors import DataError
from maskcast.data.dataset import MaskArray, Video, ids_in, listed
from maskcast.evaluation.archive import PredictionFiles
from maskcast.io.label_maps import LabelArray, decode_label_map


@dataclass(frozen=True)
class Prediction:
    """What was predicted on one frame."""

    label_map: LabelArray | None
    """Of sets with one label map a frame; else None."""
    masks: dict[int, MaskArray]
    """Of the others: by object id; an object whose file is missing is absent."""
    ids: tuple[int, ...]
    """The ids that have pixels."""

    def has(self, object_id: int) -> bool:
        """Whether there is a file that says where this object is."""
        return self.label_map is not None or object_id in self.masks

    def mask_of(self, object_id: int) -> MaskArray:
        """Return where an object is; only for one that ``has`` says is there."""
        return self.masks[object_id] if self.label_map is None else self.label_map == object_id


@dataclass(frozen=True)
class Predictions:
    """Predicted masks of the videos of a data set."""

    files: PredictionFiles
    prefix: str
    """What stands before the video in every name: empty, or folders and a slash."""

    def read(self, video: Video, frame_index: int) -> Prediction | None:
        """Return what was predicted on a frame; None if there is nothing.

        Raises:
            DataError: a file cannot be read, holds colours, or differs in size from the video.
        """
        frame = video.frame_names[frame_index]
        if video.layout == "object_folders":
            found: dict[int, MaskArray] = {}
            for object_id, folder in video.object_names.items():
                mask = self._read(f"{video.name}/{folder}/{frame}.png", video)
                if mask is not None:
                    found[object_id] = mask != 0
            present = tuple(object_id for object_id, mask in found.items() if mask.any())
            return Prediction(None, found, present) if found else None
        label_map = self._read(f"{video.name}/{frame}.png", video)
        if label_map is None:
            return None
        if video.layout == "one_object":
            mask = label_map != 0
            return Prediction(None, {1: mask}, (1,) if mask.any() else ())
        return Prediction(label_map, {}, tuple(ids_in(label_map)))

    def _read(self, name: str, video: Video) -> LabelArray | None:
        name = self.prefix + name
        if name not in self.files.name_set:
            return None
        content, shown = self.files.read(name), self.files.shown(name)
        _check_size(content, shown, video)  # before decoding: a bomb is never unpacked
        return decode_label_map(content, shown)


def open_predictions(path: Path, videos: Collection[str]) -> Predictions:
    """Find the videos in a folder or a ZIP.

    Args:
        path: as a person gave it.
        videos: names of the videos of the data set.

    Raises:
        MissingFileError: there is nothing there.
        DataError: it cannot be read, is hostile, or holds none of these videos.
    """
    files = PredictionFiles(path)
    names, known = files.names, set(videos)
    prefixes: Counter[str] = Counter()
    for folders in {PurePosixPath(name).parts[:-1] for name in names if name.endswith(".png")}:
        places = [depth for depth, folder in enumerate(folders) if folder in known]
        if places:
            prefixes["".join(f"{folder}/" for folder in folders[: places[0]])] += 1
    if not prefixes:
        raise DataError(_nothing_found(files, sorted(known)))
    most = max(prefixes.values())
    best = min((p for p, count in prefixes.items() if count == most), key=lambda p: (len(p), p))
    return Predictions(files, best)


@lru_cache(maxsize=2)
def reopened(path: Path, prefix: str) -> Predictions:
    """Return the same predictions in another process, listing their files once."""
    return Predictions(PredictionFiles(path), prefix)


def _nothing_found(files: PredictionFiles, videos: list[str]) -> str:
    pngs = [name for name in files.names if name.endswith(".png")]
    if not files.names:
        return f"{files.path} is empty; it should hold one folder of PNGs for each video"
    if not pngs:
        return f"{files.path} holds no PNG, only files such as {files.names[0]}"
    folders = sorted({str(PurePosixPath(name).parent) for name in pngs})
    there = "PNGs without a folder" if folders == ["."] else listed(folders, 3)
    return (
        f"{files.path} holds no video of this data set: it has {there}, "
        f"expected {listed(videos, 3)}"
    )


def _check_size(content: bytes, shown: str, video: Video) -> None:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
    except Image.DecompressionBombError as error:
        raise DataError(f"{shown} is refused as a decompression bomb") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{shown} is not a picture that can be read") from error
    if (height, width) != video.size:
        raise DataError(
            f"{shown} is {height}×{width}, but the video is {video.size[0]}×{video.size[1]}"
        )
