"""Finding the files of a video on disk, and gathering all that is wrong with them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from maskcast.core.errors import DataError
from maskcast.data.dataset import (
    AnnotationFile,
    Faults,
    Layout,
    Video,
    VideoObject,
    listed,
)
from maskcast.io.label_maps import ids_in, read_label_map

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MASK_ENDINGS = (".png",)

Purpose = Literal["score", "segment", "train"]
"""Decides what must be there: truth for every frame; images and given masks; images and truth."""


def folder_of(root: Path, *candidates: str) -> Path:
    """Return the first of these folders below ``root`` that exists, else the first of all."""
    found = [root / candidate for candidate in candidates if (root / candidate).is_dir()]
    return found[0] if found else root / candidates[0]


def list_folders(folder: Path, faults: Faults) -> list[str]:
    """Return the names of the folders in a folder, in order."""
    return [path.name for path in _entries(folder, faults) if path.is_dir()]


def list_pictures(folder: Path, endings: Collection[str], faults: Faults) -> dict[str, Path]:
    """Return the pictures of a folder by name without ending, in the order of time.

    Endings are taken in any case. It is a fault if two files share a name, or if the order of the
    names is not that of the numbers in them ("9", "10").
    """
    pictures: dict[str, Path] = {}
    for path in _entries(folder, faults):
        if path.suffix.lower() not in endings:
            continue
        if path.stem in pictures:
            faults.add(
                f"{folder} has two files for frame {path.stem} "
                f"({pictures[path.stem].name}, {path.name}); remove one"
            )
        pictures[path.stem] = path
    if all(name.isdecimal() for name in pictures):
        by_number = sorted(pictures, key=int)
        if by_number != list(pictures):
            faults.add(
                f"the order of the frames in {folder} is ambiguous: it differs by name "
                f"({listed(list(pictures), 3)}) and by number; use leading zeros"
            )
    return pictures


def read_names(path: Path, faults: Faults) -> list[str]:
    """Return the lines of a list file, without empty ones."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        faults.add(f"cannot read the list {path}: {_reason(error)}")
        return []
    names = [line for line in lines if line]
    if not names:
        faults.add(f"the list {path} is empty")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        faults.add(f"the list {path} contains {listed(repeated)} more than once")
    return list(dict.fromkeys(names))


def read_unseen(path: Path) -> frozenset[str]:
    """Return the names in a list of unseen categories or videos, one per line.

    Raises:
        DatasetError: the list cannot be read, is empty or repeats a name.
    """
    faults = Faults(f"the list of unseen names {path}")
    names = read_names(path, faults)
    faults.raise_if_any()
    return frozenset(names)


def read_meta(path: Path, faults: Faults) -> dict[str, dict[str, Any]]:
    """Return the entry ``videos`` of a ``meta.json``: by video, then by object id as text."""
    try:
        videos = json.loads(path.read_text("utf-8"))["videos"]
        return {str(name): dict(video["objects"]) for name, video in videos.items()}
    except (OSError, UnicodeDecodeError) as error:
        faults.add(f"cannot read {path}: {_reason(error)}")
    except (ValueError, KeyError, TypeError, AttributeError):
        faults.add(f'{path} must contain {{"videos": {{NAME: {{"objects": {{ID: …}}}}}}}}')
    return {}


def picture_size(path: Path) -> tuple[int, int]:
    """Return (height, width) from the head of a file. Raises ``DataError``."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path} as an image: {error}") from error
    return height, width


@dataclass(kw_only=True)
class VideoFiles:
    """Where the files of one video lie; ``build`` checks them and makes the ``Video``."""

    name: str
    images: Path
    """Folder; may be absent if only scoring is asked for."""
    annotations: Path
    """Folder with one PNG a frame, or with one folder an object."""
    layout: Layout = "label_maps"
    has_void: bool = True
    declared: tuple[VideoObject, ...] | None = None
    truth_everywhere: bool = False
    """Scoring needs an annotation on every frame."""
    frame_names: tuple[str, ...] | None = None
    """Known from elsewhere; else the images or the annotations tell them."""
    label_frames: Collection[str] | None = None
    """Names of the frames a submission holds."""
    object_names: dict[int, str] = field(default_factory=dict)

    def build(self, purpose: Purpose, faults: Faults) -> Video | None:
        """Return the video; None, with faults noted, if there is too little of it.

        Except for training, masks that a method is to be told of objects by have to be there.
        """
        before = len(faults.found)
        images = self._list_images(purpose, faults)
        annotations = self._list_annotations(faults)
        if len(faults.found) > before:
            return None
        names = self.frame_names or tuple(images or annotations)
        index_of = {name: index for index, name in enumerate(names)}
        stray = [name for name in annotations if name not in index_of]
        if stray:
            faults.add(f"{self.annotations} has masks without a frame: {listed(stray)}")
        if purpose != "segment" and self.truth_everywhere:
            missing = [name for name in names if name not in annotations]
            if missing:
                faults.add(f"{self.annotations} has no ground truth for frame {listed(missing)}")
        size = self._size(images, annotations, purpose, faults)
        if len(faults.found) > before or size is None:
            return None
        wanted = self.label_frames
        video = Video(
            name=self.name,
            frame_names=names,
            size=size,
            image_files={index_of[name]: path for name, path in images.items()},
            annotation_files={index_of[name]: files for name, files in annotations.items()},
            layout=self.layout,
            has_void=self.has_void,
            declared=self.declared,
            object_names=self.object_names,
            label_frames=None
            if wanted is None
            else tuple(index for index, name in enumerate(names) if name in wanted),
        )
        if purpose != "train":
            _check_given_masks(video, faults)
        return video

    def _list_images(self, purpose: Purpose, faults: Faults) -> dict[str, Path]:
        if purpose == "score" and not self.images.is_dir():
            return {}
        before = len(faults.found)
        images = list_pictures(self.images, IMAGE_ENDINGS, faults)
        if not images and len(faults.found) == before:
            faults.add(f"{self.images} contains no images")
        return images

    def _list_annotations(self, faults: Faults) -> dict[str, tuple[AnnotationFile, ...]]:
        before = len(faults.found)
        if self.layout != "object_folders":
            object_id = 1 if self.layout == "one_object" else None
            pictures = list_pictures(self.annotations, MASK_ENDINGS, faults)
            found: dict[str, tuple[AnnotationFile, ...]] = {
                name: (AnnotationFile(path, object_id),) for name, path in pictures.items()
            }
        else:
            found = self._list_object_folders(faults)
        if not found and len(faults.found) == before:
            faults.add(f"{self.annotations} contains no masks")
        return found

    def _list_object_folders(self, faults: Faults) -> dict[str, tuple[AnnotationFile, ...]]:
        files: dict[str, list[AnnotationFile]] = {}
        for object_id, folder in enumerate(list_folders(self.annotations, faults), start=1):
            self.object_names[object_id] = folder
            pictures = list_pictures(self.annotations / folder, MASK_ENDINGS, faults)
            for name, path in pictures.items():
                files.setdefault(name, []).append(AnnotationFile(path, object_id))
        return {name: tuple(files[name]) for name in sorted(files)}

    def _size(
        self,
        images: Mapping[str, Path],
        annotations: Mapping[str, tuple[AnnotationFile, ...]],
        purpose: Purpose,
        faults: Faults,
    ) -> tuple[int, int] | None:
        """Return the size of the first picture, after comparing with it all that will be read.

        Scoring shows a few images at most, and for training only the first whole image and mask are
        looked at: large sets would take minutes, and training passes over what is broken.
        """
        pictures = list(images.values())
        masks = [file.path for files in annotations.values() for file in files]
        if purpose == "train":
            pictures, masks = _first_whole(pictures), _first_whole(masks)
        paths = (pictures if purpose == "segment" else pictures[:1]) + masks
        size: tuple[int, int] | None = None
        for path in paths:
            try:
                found = picture_size(path)
            except DataError as error:
                faults.add(error)
                continue
            size = size or found
            if found != size:
                faults.add(f"{path} is {found[0]}×{found[1]} but {paths[0]} is {size[0]}×{size[1]}")
        return size


def _first_whole(paths: Sequence[Path]) -> list[Path]:
    """Return the first picture that can be opened; the first of all if none can."""
    for path in paths:
        try:
            picture_size(path)
        except DataError:
            continue
        return [path]
    return list(paths[:1])


def _check_given_masks(video: Video, faults: Faults) -> None:
    """Note as faults what keeps a method from being told the objects of a video.

    Declared objects must have pixels on their first frame; without a declaration the first
    annotation must hold an object. Reads only these annotations.
    """
    try:
        if video.declared is not None:
            video.given_masks()
        elif not video.objects_in(video.annotated_frames[0]):
            path = video.annotation_files[video.annotated_frames[0]][0].path
            faults.add(f"{path}, the first annotation of {video.name}, shows no object")
    except DataError as error:
        faults.add(error)


def mask_layout(annotations: Path, faults: Faults) -> Layout | None:
    """Tell how a folder of masks is laid out; None, with a fault noted, if none can be read.

    Masks that know only 0 and 255 are one object, and 255 is not void. The first one that shows
    anything decides.
    """
    quiet = Faults("")
    masks = list(list_pictures(annotations, MASK_ENDINGS, quiet).values())
    if not masks and annotations.is_dir() and list_folders(annotations, quiet):
        return "object_folders"
    unreadable: list[DataError] = []
    for path in masks:
        try:
            ids = ids_in(read_label_map(path))
        except DataError as error:
            unreadable.append(error)
            continue
        if ids:
            return "one_object" if ids == [255] else "label_maps"
    if masks and len(unreadable) == len(masks):
        faults.add(unreadable[0])
        return None
    return "label_maps"


def _entries(folder: Path, faults: Faults) -> list[Path]:
    """Return what is in a folder by name, without hidden files."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        faults.add(f"the folder {folder} does not exist")
        return []
    except OSError as error:
        faults.add(f"cannot read the folder {folder}: {_reason(error)}")
        return []
    return [folder / name for name in names]


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8 text"
