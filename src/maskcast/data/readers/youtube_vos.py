"""Read YouTube-VOS 2018 and 2019 (Xu et al., 2018).

    <split>/JPEGImages/<video>/00005.jpg   <split>/Annotations/<video>/00005.png   <split>/meta.json
    <split>_all_frames/JPEGImages/…        all images at 30 per second; every fifth has labels

``meta.json`` lists the category and the frames of each object; its mask is given on the first of
them. Objects may start on any frame, and ids may have gaps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from maskcast.core.numbers import shortened, whole_number
from maskcast.data.dataset import Dataset, Faults, UnseenGroup, Video, VideoObject
from maskcast.data.listing import (
    Purpose,
    VideoFiles,
    list_frame_names,
    read_meta,
)
from maskcast.io.label_maps import LARGEST_ID

LABEL_STEP = 5
"""Distance between labelled frames in the videos with all frames."""


def open_youtube_vos(
    root: Path,
    *,
    year: Literal[2018, 2019],
    split: str = "valid",
    all_frames: bool = False,
    purpose: Purpose = "segment",
) -> Dataset:
    """Open one split.

    Args:
        root: folder with ``train``, ``valid`` and ``test``, or one of these.
        year: year of the data set, which only affects its name; both have the same layout.
        split: train, valid or test.
        all_frames: whether to use the images in ``<split>_all_frames``.
        purpose: determines which files are required.

    Raises:
        DatasetError: the data set is incomplete; the error lists all problems.
    """
    faults = Faults(f"YouTube-VOS {year} {split} in {root}")
    base = root / split if (root / split).is_dir() else root
    with_all_frames = base.parent / f"{base.name}_all_frames"
    meta = read_meta(base / "meta.json", faults)
    videos = []
    for name, entries in sorted(meta.items()):
        before = len(faults.problems)
        images = (with_all_frames if all_frames else base) / "JPEGImages" / name
        annotations = base / "Annotations" / name
        names, _ = list_frame_names(images, annotations, faults)
        files = VideoFiles(
            name=name,
            images=images,
            annotations=annotations,
            declared=_objects(name, entries, names, faults),
            label_frames=_label_names(base / "JPEGImages" / name, names) if all_frames else None,
        )
        video = files.build(purpose, faults) if len(faults.problems) == before else None
        if video is not None:
            if purpose == "score":
                _check_annotations(video, entries, faults)
            videos.append(video)
    faults.raise_if_any()
    notes = {"frames": "all" if all_frames else "labelled"}
    return Dataset(f"youtube-vos-{year}", split, root, tuple(videos), notes)


def unseen_categories(dataset: Dataset) -> frozenset[str] | None:
    """Return the categories that are not in the training split; None if that is not available."""
    seen = _train_categories(dataset.root)
    if seen is None:
        return None
    return frozenset(item.category or "" for video in dataset for item in video.objects) - seen


UNSEEN = UnseenGroup("category", unseen_categories)


def _train_categories(root: Path) -> frozenset[str] | None:
    path = root / "train" / "meta.json"
    if not path.is_file():
        return None
    faults = Faults(f"YouTube-VOS train in {root}")
    meta = read_meta(path, faults)
    faults.raise_if_any()
    entries = [entry for objects in meta.values() for entry in objects.values()]
    return frozenset(str(entry["category"]) for entry in entries if "category" in entry)


def _label_names(labelled: Path, names: list[str]) -> list[str]:
    """Return the labelled frames: those of the plain split or, without it, every fifth one."""
    if labelled.is_dir():
        existing = {path.stem for path in labelled.iterdir()}
        return [name for name in names if name in existing]
    return [name for name in names if name.isdecimal() and int(name) % LABEL_STEP == 0]


def _objects(
    video: str, entries: dict[str, Any], names: list[str], faults: Faults
) -> tuple[VideoObject, ...]:
    objects = []
    for text, entry in entries.items():
        frames = entry.get("frames") if isinstance(entry, dict) else None
        object_id = whole_number(text)
        if not (object_id and object_id <= LARGEST_ID and isinstance(frames, list) and frames):
            faults.add(
                f"meta.json must give object {shortened(text)!r} of {video} a positive id and "
                '"frames"'
            )
            continue
        first = str(frames[0])
        if first not in names:
            faults.add(
                f"meta.json starts object {text} of {video} on {first}, which is not a frame"
            )
            continue
        category = entry.get("category")
        category = None if category is None else str(category)
        objects.append(VideoObject(object_id, names.index(first), category))
    return tuple(sorted(objects, key=lambda item: item.object_id))


def _check_annotations(video: Video, entries: dict[str, Any], faults: Faults) -> None:
    """Report objects without ground truth after their first frame, as in the public validation."""
    last = video.annotated_frames[-1]
    for item in video.objects:
        if len(entries[str(item.object_id)]["frames"]) > 1 and last <= item.first_frame:
            faults.add(
                f"{video.name} has no ground truth for object {item.object_id} after its first "
                "frame; submit the masks to the server of the benchmark"
            )
