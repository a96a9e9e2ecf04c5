"""Read LVOS v1 and v2, long videos (Hong et al., ICCV 2023; 2024).

    <split>/JPEGImages/<video>/00000001.jpg    <split>/Annotations/<video>/00000001.png
    <split>_meta.json    per video and object: "frame_range" {"start", "end", "frame_nums"}

Names have eight digits. Every fifth frame from the first has labels, whether or not there are
images in between. Each object counts on its own range of frames, and its mask is given on the first
frame of the range, although the validation split has later masks too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskcast.core.numbers import shortened, whole_number
from maskcast.data.dataset import Dataset, Faults, UnseenGroup, VideoObject, listed
from maskcast.data.listing import (
    Purpose,
    VideoFiles,
    list_frame_names,
    read_meta,
    read_unseen,
)
from maskcast.io.label_maps import LARGEST_ID

UNSEEN_VIDEOS = "unseen_videos.txt"
LABEL_STEP = 5
"""Distance between labelled frames."""


def open_lvos(root: Path, *, split: str = "valid", purpose: Purpose = "segment") -> Dataset:
    """Open one split.

    Args:
        root: folder with ``train``, ``valid`` and ``test``, or one of these.
        split: train, valid or test.
        purpose: determines which files are required.

    Raises:
        DatasetError: the data set is incomplete; the error lists all problems.
    """
    faults = Faults(f"LVOS {split} in {root}")
    base = root / split if (root / split).is_dir() else root
    videos = []
    for name, entries in sorted(read_meta(_meta_file(root, base, split), faults).items()):
        before = len(faults.problems)
        images, annotations = base / "JPEGImages" / name, base / "Annotations" / name
        names, has_images = list_frame_names(images, annotations, faults)
        annotated = list(_png_names(annotations)) if has_images else names
        files = VideoFiles(
            name=name,
            images=images,
            annotations=annotations,
            declared=_objects(name, entries, names, faults),
            label_frames=_label_names(names),
        )
        video = files.build(purpose, faults) if len(faults.problems) == before else None
        if video is None:
            continue
        if purpose == "score":
            _check_ranges(video.declared or (), names, set(annotated), annotations, faults)
        videos.append(video)
    faults.raise_if_any()
    return Dataset("lvos", split, root, tuple(videos))


def unseen_videos(dataset: Dataset) -> frozenset[str] | None:
    """Return the names in ``unseen_videos.txt`` of LVOS's evaluation tool; None if it is missing.

    Raises:
        DatasetError: the list cannot be read, is empty or repeats a name.
    """
    folders = (dataset.root, dataset.root / dataset.split)
    path = next((path for folder in folders if (path := folder / UNSEEN_VIDEOS).is_file()), None)
    return None if path is None else read_unseen(path)


UNSEEN = UnseenGroup("video", unseen_videos)


def _meta_file(root: Path, base: Path, split: str) -> Path:
    names = (f"{split}_meta.json", "meta.json")
    candidates = [folder / name for folder in (base, root) for name in names]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _png_names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.png")} if folder.is_dir() else set()


def _label_names(names: list[str]) -> list[str]:
    numbers = {name: int(name) for name in names if name.isdecimal()}
    first = min(numbers.values(), default=0)
    return [name for name, number in numbers.items() if (number - first) % LABEL_STEP == 0]


def _frame_number(value: object) -> int:
    """Return a frame number given as a number or as text; raise ``ValueError`` for other values."""
    number = value if type(value) is int else whole_number(str(value))
    if number is None:
        raise ValueError
    return number


def _objects(
    video: str, entries: dict[str, Any], names: list[str], faults: Faults
) -> tuple[VideoObject, ...]:
    index_of = {int(name): index for index, name in enumerate(names) if name.isdecimal()}
    objects = []
    for text, entry in entries.items():
        try:
            limits = entry["frame_range"]
            object_id = whole_number(text) or 0
            start, end = (_frame_number(limits[key]) for key in ("start", "end"))
        except (KeyError, TypeError, ValueError):
            object_id = start = end = 0
        if not 0 < object_id <= LARGEST_ID:
            faults.add(
                f"the meta file must give object {shortened(text)!r} of {video} an id and a "
                '"frame_range"'
            )
            continue
        labelled = range(start, end, LABEL_STEP)
        few = labelled[: 2 * len(names) + 2]  # bounds the work for a damaged, huge range
        missing = [n for n in few if n not in index_of]
        if missing or start >= end:
            faults.add(
                f"the meta file gives object {text} of {video} the range {start}–{end}, but the "
                f"video has no frame {listed(missing) if missing else 'in it'}"
            )
            continue
        counted = tuple(index_of[n] for n in labelled)
        category = entry.get("category")
        category = None if category is None else str(category)
        objects.append(VideoObject(object_id, index_of[start], category, counted))
    return tuple(sorted(objects, key=lambda item: item.object_id))


def _check_ranges(
    objects: tuple[VideoObject, ...],
    names: list[str],
    annotated: set[str],
    folder: Path,
    faults: Faults,
) -> None:
    """Report frames on which an object counts but which have no ground truth."""
    counted = {index for item in objects for index in item.counted_frames or ()}
    missing = [names[index] for index in sorted(counted) if names[index] not in annotated]
    if missing:
        faults.add(f"{folder} has no ground truth for frame {listed(missing)}")
