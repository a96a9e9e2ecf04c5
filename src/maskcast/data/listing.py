"""Find and check the files of a video, and collect all problems with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.files import check_name, read_file
from maskcast.core.strict_json import read_json
from maskcast.data.dataset import (
    AnnotationFile,
    Faults,
    Layout,
    Video,
    VideoObject,
    listed,
)
from maskcast.io.label_maps import ids_in, read_label_map
from maskcast.io.pictures import picture_header

LARGEST_LIST = 2**26
"""Maximum size of a list file in bytes."""
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MASK_ENDINGS = (".png",)

Purpose: TypeAlias = Literal["score", "segment", "train"]
"""Determines the required files. Scoring: ground truth for every frame; segmenting: images and
given masks; training: images and ground truth."""


def folder_of(root: Path, *candidates: str) -> Path:
    """Return the first candidate in ``root`` that exists, or the first candidate if none does."""
    existing = [root / candidate for candidate in candidates if (root / candidate).is_dir()]
    return existing[0] if existing else root / candidates[0]


def list_folders(folder: Path, faults: Faults) -> list[str]:
    """Return the names of the folders in a folder, in sorted order."""
    return [path.name for path in _entries(folder, faults) if path.is_dir()]


def list_pictures(folder: Path, endings: Collection[str], faults: Faults) -> dict[str, Path]:
    """Return the pictures of a folder by name without extension, in temporal order.

    Extensions are case-insensitive. It is a problem if two files have the same name, or if the
    order by name differs from the order by number ("9", "10").
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


def list_frame_names(images: Path, annotations: Path, faults: Faults) -> tuple[list[str], bool]:
    """Return the names of a video's frames, and whether its images have them.

    Without images, which scoring does not need, the annotations have the names.
    """
    names = list(list_pictures(images, IMAGE_ENDINGS, faults)) if images.is_dir() else []
    return (
        (names, True) if names else (list(list_pictures(annotations, IMAGE_ENDINGS, faults)), False)
    )


def read_names(path: Path, faults: Faults) -> list[str]:
    """Return the non-empty lines of a list file."""
    try:
        text = read_file(path, largest=LARGEST_LIST).decode("utf-8-sig")
        lines = [line.strip() for line in text.splitlines()]
    except MissingFileError:
        faults.add(f"the list {path} does not exist")
        return []
    except DataError as error:
        faults.add(error)
        return []
    except (OSError, UnicodeDecodeError) as error:
        faults.add(f"cannot read the list {path}: {_reason(error)}")
        return []
    names = [line for line in lines if line]
    if not names:
        faults.add(f"the list {path} is empty")
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        faults.add(f"the list {path} contains {listed(repeated)} more than once")
    return list(dict.fromkeys(names))


def names_of_folders(names: Iterable[str], path: Path, faults: Faults) -> list[str]:
    """Return the names that a folder inside a data set can have; the others become faults.

    Args:
        names: names of videos, as the file has them.
        path: the file, for messages.
        faults: takes the problems.
    """
    usable = []
    for name in names:
        try:
            check_name(name)
        except DataError as error:
            faults.add(f"{path}: {error.summary}")
        else:
            usable.append(name)
    return usable


def read_list(path: Path, what: str) -> tuple[str, ...]:
    """Return the names in a list file, one per line.

    Args:
        path: the file.
        what: plural of what the names belong to, for messages.

    Raises:
        DatasetError: the list cannot be read, is empty or repeats a name.
    """
    faults = Faults(f"the list of {what}")
    names = read_names(path, faults)
    faults.raise_if_any()
    return tuple(names)


def read_unseen(path: Path) -> frozenset[str]:
    """Return the names in a list of unseen categories or videos; raises as ``read_list``."""
    return frozenset(read_list(path, "unseen names"))


def read_meta(path: Path, faults: Faults) -> dict[str, dict[str, Any]]:
    """Return the objects in a ``meta.json``, by video name and then by object id as text."""
    try:
        videos = read_json(path)["videos"]
        objects = {str(name): {**video["objects"]} for name, video in videos.items()}
        return {name: objects[name] for name in names_of_folders(objects, path, faults)}
    except MissingFileError:
        faults.add(f"cannot read {path}: no such file")
    except DataError as error:
        faults.add(error.summary)
    except (ValueError, KeyError, TypeError, AttributeError):
        faults.add(f'{path} must contain {{"videos": {{NAME: {{"objects": {{ID: …}}}}}}}}')
    return {}


def picture_size(path: Path) -> tuple[int, int]:
    """Return (height, width) from the header of a picture. Raises ``DataError``."""
    _, size = picture_header(path, str(path))
    return size


@dataclass(kw_only=True)
class VideoFiles:
    """The locations of one video's files; ``build`` checks them and creates the ``Video``."""

    name: str
    images: Path
    """Folder of images; may be missing or empty if the video is only used for scoring."""
    annotations: Path
    """Folder with one PNG per frame, or with one folder per object."""
    layout: Layout = "label_maps"
    has_void: bool = True
    declared: tuple[VideoObject, ...] | None = None
    fully_annotated: bool = False
    """Whether scoring and training require an annotation on every frame."""
    frame_names: tuple[str, ...] | None = None
    """Frame names, if known; None takes them from the images or the annotations."""
    label_frames: Collection[str] | None = None
    """Names of the frames in a submission; None for all."""
    object_names: dict[int, str] = field(default_factory=dict)

    def build(self, purpose: Purpose, faults: Faults) -> Video | None:
        """Return the video; if it is incomplete, add the problems to ``faults`` and return None.

        Unless ``purpose`` is "train", every object needs a mask on its first frame.
        """
        before = len(faults.problems)
        images = self._list_images(purpose, faults)
        annotations = self._list_annotations(faults)
        if len(faults.problems) > before:
            return None
        names = self.frame_names or tuple(images or annotations)
        index_of = {name: index for index, name in enumerate(names)}
        stray = [name for name in annotations if name not in index_of]
        if stray:
            faults.add(f"{self.annotations} has masks without a frame: {listed(stray)}")
        if purpose != "segment" and self.fully_annotated:
            missing = [name for name in names if name not in annotations]
            if missing:
                faults.add(f"{self.annotations} has no ground truth for frame {listed(missing)}")
        size = self._size(images, annotations, purpose, faults)
        if len(faults.problems) > before or size is None:
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
        before = len(faults.problems)
        images = list_pictures(self.images, IMAGE_ENDINGS, faults)
        if not images and len(faults.problems) == before and purpose != "score":
            faults.add(f"{self.images} contains no images")
        return images

    def _list_annotations(self, faults: Faults) -> dict[str, tuple[AnnotationFile, ...]]:
        before = len(faults.problems)
        if self.layout != "object_folders":
            object_id = 1 if self.layout == "one_object" else None
            pictures = list_pictures(self.annotations, MASK_ENDINGS, faults)
            by_frame: dict[str, tuple[AnnotationFile, ...]] = {
                name: (AnnotationFile(path, object_id),) for name, path in pictures.items()
            }
        else:
            by_frame = self._list_object_folders(faults)
        if not by_frame and len(faults.problems) == before:
            faults.add(f"{self.annotations} contains no masks")
        return by_frame

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
        """Return the size of the first picture, and check that the others have the same size.

        For scoring, which shows only a few images, one image is checked. For training, only the
        first readable image and mask are: large data sets would take minutes, and training skips
        unreadable items.
        """
        pictures = list(images.values())
        masks = [file.path for files in annotations.values() for file in files]
        if purpose == "train":
            pictures, masks = _first_whole(pictures), _first_whole(masks)
        paths = (pictures if purpose == "segment" else pictures[:1]) + masks
        size: tuple[int, int] | None = None
        for path in paths:
            try:
                actual = picture_size(path)
            except DataError as error:
                faults.add(error)
                continue
            size = size or actual
            if actual != size:
                faults.add(
                    f"{path} is {actual[0]}×{actual[1]} but {paths[0]} is {size[0]}×{size[1]}"
                )
        return size


def _first_whole(paths: Sequence[Path]) -> list[Path]:
    """Return the first readable picture, or the first picture if none is readable."""
    for path in paths:
        try:
            picture_size(path)
        except DataError:
            continue
        return [path]
    return list(paths[:1])


def _check_given_masks(video: Video, faults: Faults) -> None:
    """Report given masks that are missing, reading only the annotations of first frames.

    Objects in a list of the data set must have pixels on their first frame. Without a list, the
    first annotation must show an object.
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
    """Return the layout of a folder of masks; None, with a problem added, if none is readable.

    Masks with only 0 and 255 show one object; 255 is not void then. The first mask that is not
    empty decides.
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
    """Return the files and folders in a folder, sorted by name, without hidden ones."""
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
