"""Find the predicted masks of a video among the files of a folder or an archive.

    <video>/<frame>.png            a label map
    <video>/<object>/<frame>.png   in data sets with a folder for each object
    <video>/masks.jsonl, masks.jsonl.gz or masks.zip   all frames (``io.packed_masks``)

Any folders may lie above the videos (``Annotations/``, ``results/480p/``). Where a frame is in
several of these files, the first one in this list counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from maskcast.core.arrays import LabelArray, MaskArray
from maskcast.core.errors import DataError
from maskcast.data.dataset import Video, listed
from maskcast.evaluation.archive import PredictionFiles
from maskcast.io.label_maps import decode_label_map, ids_in
from maskcast.io.packed_masks import PACKED_NAMES, PackedMasks, open_packed_masks


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
    _opened: dict[str, PackedMasks | DataError] = field(default_factory=dict, compare=False)
    """By video; an error where the file cannot be used."""

    def read(self, video: Video, frame_index: int) -> Prediction | None:
        """Return what was predicted on a frame; None if there is nothing.

        Raises:
            DataError: a file cannot be read, holds colours, or differs in size from the video.
        """
        frame = video.frame_names[frame_index]
        if video.layout == "object_folders":
            found = self._read_objects(video, frame)
            if found:
                present = tuple(object_id for object_id, mask in found.items() if mask.any())
                return Prediction(None, found, present)
        label_map = self._read_label_map(video, frame)
        if label_map is None:
            return None
        if video.layout == "one_object":
            mask = label_map != 0
            return Prediction(None, {1: mask}, (1,) if mask.any() else ())
        ids = tuple(ids_in(label_map))
        if video.layout == "object_folders":
            return Prediction(None, {each: label_map == each for each in video.object_ids}, ids)
        return Prediction(label_map, {}, ids)

    def _read_objects(self, video: Video, frame: str) -> dict[int, MaskArray]:
        found: dict[int, MaskArray] = {}
        for object_id, folder in video.object_names.items():
            mask = self._read_png(f"{self.prefix}{video.name}/{folder}/{frame}.png", video)
            if mask is not None:
                found[object_id] = mask != 0
        return found

    def _read_label_map(self, video: Video, frame: str) -> LabelArray | None:
        """Read a PNG or, where there is none, the frame in a file of the whole video."""
        if video.layout != "object_folders":
            label_map = self._read_png(f"{self.prefix}{video.name}/{frame}.png", video)
            if label_map is not None:
                return label_map
        packed = self._packed_masks(video)
        return packed.read(frame, video.size) if packed and frame in packed.names else None

    def _read_png(self, name: str, video: Video) -> LabelArray | None:
        if name not in self.files.name_set:
            return None
        return decode_label_map(self.files.read(name), self.files.shown(name), video.size)

    def _packed_masks(self, video: Video) -> PackedMasks | None:
        """Return the file with all frames of a video; only that of the latest video stays open."""
        if video.name not in self._opened:
            while self._opened:
                closed = self._opened.popitem()[1]
                if not isinstance(closed, DataError):
                    closed.close()
            names = (f"{self.prefix}{video.name}/{name}" for name in PACKED_NAMES)
            name = next((name for name in names if name in self.files.name_set), None)
            if name is None:
                return None
            self._opened[video.name] = self._open(name, video)
        opened = self._opened[video.name]
        if isinstance(opened, DataError):
            raise opened
        return opened

    def _open(self, name: str, video: Video) -> PackedMasks | DataError:
        source, shown = self.files.open(name), self.files.shown(name)
        try:
            return open_packed_masks(source, shown, names=frozenset(video.frame_names))
        except DataError as error:  # once for all frames
            return error


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
    for folders in {PurePosixPath(name).parts[:-1] for name in names if _holds_masks(name)}:
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


def _holds_masks(name: str) -> bool:
    return name.endswith(".png") or PurePosixPath(name).name in PACKED_NAMES


def _nothing_found(files: PredictionFiles, videos: list[str]) -> str:
    masks = [name for name in files.names if _holds_masks(name)]
    if not files.names:
        return f"{files.path} is empty; it must contain one folder of PNGs per video"
    if not masks:
        return f"{files.path} contains no PNGs, only files such as {files.names[0]}"
    folders = sorted({str(PurePosixPath(name).parent) for name in masks})
    there = "masks without a folder" if folders == ["."] else listed(folders, 3)
    return (
        f"{files.path} contains no video of the data set: it has {there}, "
        f"expected {listed(videos, 3)}"
    )
