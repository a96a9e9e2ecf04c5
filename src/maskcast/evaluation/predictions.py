"""Find the predicted masks of a video among the files of a folder or an archive.

    <video>/<frame>.png            a label map
    <video>/<object>/<frame>.png   masks of single objects; folders are named as the data set's
                                   objects, or by object id
    <video>/masks.jsonl, masks.jsonl.gz or masks.zip   all frames (``io.packed_masks``)

The videos may lie in subfolders (``Annotations/``, ``results/480p/``). If a frame is in several of
these files, the first one in this list counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from maskcast.core.arrays import LabelArray, MaskArray
from maskcast.core.errors import DataError
from maskcast.core.numbers import whole_number
from maskcast.data.dataset import VOID, Video, listed
from maskcast.evaluation.archive import PredictionFiles
from maskcast.io.label_maps import decode_foreign_map, ids_in
from maskcast.io.packed_masks import PACKED_NAMES, PackedMasks, open_packed_masks

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
"""Endings of archives, which are not read inside an archive or a folder."""
MOST_OBJECTS = 32
"""Largest id in a label map that is read as a mask of one object; higher ones are grey values."""


@dataclass(frozen=True)
class PredictedFrame:
    """The predicted masks of one frame."""

    label_map: LabelArray | None
    """Label map, in data sets with one label map per frame; else None."""
    masks: dict[int, MaskArray]
    """Masks by object id, in other data sets; objects without a file are left out."""
    ids: tuple[int, ...]
    """Ids of the objects that have pixels."""

    def has(self, object_id: int) -> bool:
        """Return whether there is a prediction for an object; it may be empty."""
        return self.label_map is not None or object_id in self.masks

    def mask_of(self, object_id: int) -> MaskArray:
        """Return the mask of an object; ``has`` must be true for it."""
        return self.masks[object_id] if self.label_map is None else self.label_map == object_id


@dataclass(frozen=True)
class Predictions:
    """Predicted masks of the videos of a data set."""

    files: PredictionFiles
    prefix: str
    """Folders above the videos, with a slash at the end; empty if there are none."""
    _opened: dict[str, PackedMasks | DataError] = field(default_factory=dict, compare=False)
    """Open files of whole videos, by video; an error if the file is unusable."""

    def read(self, video: Video, frame_index: int) -> PredictedFrame | None:
        """Return the prediction of a frame; None if there is none.

        Raises:
            DataError: a file cannot be read, has colours instead of ids, or has another size than
                the video.
        """
        frame = video.frame_names[frame_index]
        label_map = None
        if video.layout != "object_folders":
            name = f"{self.prefix}{video.name}/{frame}.png"
            objects = len(video.object_ids) if video.layout != "one_object" else 1
            label_map = self._read_png(name, video, objects=objects)
            if label_map is not None and video.layout == "one_object":
                _reject_soft(label_map, self.files.shown(name))
        if label_map is None and (masks := self._read_objects(video, frame)):
            present = tuple(object_id for object_id, mask in masks.items() if mask.any())
            return PredictedFrame(None, masks, present)
        if label_map is None:
            label_map = self._read_packed(video, frame)
        if label_map is None:
            return None
        if video.layout == "one_object":
            mask = label_map != 0
            return PredictedFrame(None, {1: mask}, (1,) if mask.any() else ())
        ids = tuple(ids_in(label_map))
        if video.layout == "object_folders":
            return PredictedFrame(None, {i: label_map == i for i in video.object_ids}, ids)
        return PredictedFrame(label_map, {}, ids)

    def _read_objects(self, video: Video, frame: str) -> dict[int, MaskArray]:
        masks: dict[int, MaskArray] = {}
        for object_id, folder in self._object_folders(video).items():
            name = f"{self.prefix}{video.name}/{folder}/{frame}.png"
            mask = self._read_png(name, video)
            if mask is not None:
                _reject_soft(mask, self.files.shown(name))
                masks[object_id] = mask != 0
        return masks

    def _object_folders(self, video: Video) -> Mapping[int, str]:
        """Return the folders of masks of single objects, by object id."""
        if video.layout == "object_folders":
            return video.object_names
        folders = {path.split("/")[0] for path in self.masks_of(video) if "/" in path}
        numbers = {folder: whole_number(folder) for folder in sorted(folders)}
        return {n: folder for folder, n in numbers.items() if n is not None and n > 0}

    def masks_of(self, video: Video) -> Collection[str]:
        """Return the names of a video's PNGs, relative to its folder."""
        return self._by_video.get(video.name, ())

    @cached_property
    def _by_video(self) -> Mapping[str, Collection[str]]:
        """Names of the PNGs by folder, relative to it."""
        by_video: dict[str, list[str]] = {}
        for name in self.files.names:
            if name.startswith(self.prefix) and name.endswith(".png"):
                video, _, rest = name.removeprefix(self.prefix).partition("/")
                by_video.setdefault(video, []).append(rest)
        return by_video

    def _read_packed(self, video: Video, frame: str) -> LabelArray | None:
        """Read a frame in the file that holds all frames of a video."""
        packed = self._packed_masks(video)
        return packed.read(frame, video.size) if packed and frame in packed.names else None

    def _read_png(self, name: str, video: Video, *, objects: int = 1) -> LabelArray | None:
        if name not in self.files.name_set:
            return None
        content, shown = self.files.read(name), self.files.shown(name)
        return decode_foreign_map(content, shown, video.size, objects=objects)

    def _packed_masks(self, video: Video) -> PackedMasks | None:
        """Return the file with all frames of a video, and close that of any other video."""
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
        except DataError as error:  # kept, so that later frames do not open the file again
            return error


def open_predictions(path: Path, videos: Collection[str]) -> Predictions:
    """Find the predicted videos in a folder or a ZIP.

    Args:
        path: the folder or ZIP.
        videos: names of the videos of the data set.

    Raises:
        MissingFileError: the path does not exist.
        DataError: the path cannot be read, is not a safe archive, or contains none of the videos.
    """
    files = PredictionFiles(path)
    names, known = files.names, set(videos)
    prefixes: Counter[str] = Counter()
    for folders in {PurePosixPath(name).parts[:-1] for name in names if _holds_masks(name)}:
        depths = [depth for depth, folder in enumerate(folders) if folder in known]
        if depths:
            prefixes["".join(f"{folder}/" for folder in folders[: depths[0]])] += 1
    if not prefixes:
        raise DataError(_nothing_found(files, sorted(known)))
    most = max(prefixes.values())
    best = min((p for p, count in prefixes.items() if count == most), key=lambda p: (len(p), p))
    return Predictions(files, best)


@lru_cache(maxsize=2)
def reopened(path: Path, prefix: str) -> Predictions:
    """Return the predictions in a worker process; the cache avoids listing files repeatedly."""
    return Predictions(PredictionFiles(path), prefix)


def _reject_soft(values: LabelArray, name: str) -> None:
    """Reject a mask of one object with soft edges, of which every pixel above 0 would count.

    Label maps of several objects are masks of one object too, and so are 0 and 255.
    """
    levels = [value for value in ids_in(values) if value != VOID]
    if levels and max(levels) > MOST_OBJECTS and len(ids_in(values)) > 1:
        raise DataError(
            f"{name} has {len(levels)} grey values, as soft edges do; save masks with the values 0 "
            "and 255"
        )


def _holds_masks(name: str) -> bool:
    return name.endswith(".png") or PurePosixPath(name).name in PACKED_NAMES


def _nothing_found(files: PredictionFiles, videos: list[str]) -> str:
    masks = [name for name in files.names if _holds_masks(name)]
    if not files.names:
        return f"{files.path} is empty; it must contain one folder of PNGs per video"
    inner = next((name for name in files.names if name.lower().endswith(ARCHIVES)), None)
    if not masks and inner is not None:
        return f"{files.path} contains no PNGs but an archive ({inner}); unpack it first"
    if not masks:
        return f"{files.path} contains no PNGs, only files such as {files.names[0]}"
    folders = sorted({str(PurePosixPath(name).parent) for name in masks})
    there = "masks without a folder" if folders == ["."] else listed(folders, 3)
    return (
        f"{files.path} contains no video of the data set: it has {there}, "
        f"expected {listed(videos, 3)}"
    )
