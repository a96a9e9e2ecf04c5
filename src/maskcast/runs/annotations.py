"""Make files for annotation and training programs from finished masks.

Objects with the same name in ``objects.json`` are instances of one category. A folder is complete
when the file is there that is written last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from maskcast.io.annotations import labelme, mots, yolo
from maskcast.io.annotations.categories import categories_of
from maskcast.io.annotations.coco_video import coco_video, youtube_vis
from maskcast.io.annotations.cvat import cvat_masks, cvat_tracks
from maskcast.io.annotations.masked_video import AnnotateFrame, MaskedVideo
from maskcast.io.video.frame_folder import is_frame_file
from maskcast.io.video.source import FrameSource
from maskcast.runs.export_settings import AnnotationForm
from maskcast.runs.masks import FoundByFrame
from maskcast.runs.tables import Maker

Writer: TypeAlias = Callable[..., AbstractContextManager[AnnotateFrame]]
"""Begins a file or folder, ``writer(path, video=…)``, and yields what adds a frame to it."""


@dataclass(frozen=True)
class AnnotationFormat:
    """One format of annotations."""

    name: str
    """Name of the file or folder in the folder of exports."""
    write: Writer
    last: str | None = None
    """Path of the file in a folder that is written last; None if the export is a file."""


ANNOTATION_FORMATS: Mapping[AnnotationForm, AnnotationFormat] = {
    "coco-video": AnnotationFormat("coco-video.json", coco_video),
    "youtube-vis": AnnotationFormat("youtube-vis.json", youtube_vis),
    "cvat": AnnotationFormat("cvat.xml", cvat_tracks),
    "cvat-masks": AnnotationFormat("cvat-masks.xml", cvat_masks),
    "labelme": AnnotationFormat("labelme", labelme.labelme_folder, labelme.LABELS),
    "yolo": AnnotationFormat("yolo", yolo.yolo_folder, yolo.DATA),
    "mots": AnnotationFormat("mots", mots.mots_folder, f"instances/{mots.LABELS}"),
}


def annotation_maker(
    kind: AnnotationFormat,
    frames: FrameSource,
    *,
    name: str,
    objects: FoundByFrame,
    names: Mapping[int, str],
) -> Maker:
    """Return what begins an export of annotations.

    Args:
        kind: the format.
        frames: the exported frames.
        name: name of the video.
        objects: the objects of all exported frames.
        names: names of objects by id, which are their categories.
    """
    ids = {object_id for found_objects in objects.values() for object_id in found_objects}
    video = MaskedVideo(
        name=name,
        pictures=_pictures(frames),
        size=frames.size,
        first=frames.first,
        categories=categories_of(ids, names),
    )
    return partial(_from_the_start, kind.write, video)


@contextmanager
def _from_the_start(
    write: Writer, video: MaskedVideo, path: Path
) -> Iterator[tuple[int, AnnotateFrame]]:
    with write(path, video=video) as add:
        yield 0, add


def _pictures(frames: FrameSource) -> list[str]:
    """Return the file names of the frames; those of a video file are numbered."""
    if not frames.path.is_dir():
        return [f"{name}.jpg" for name in frames.names]
    files = {path.stem: path.name for path in frames.path.iterdir() if is_frame_file(path)}
    return [files.get(name, f"{name}.jpg") for name in frames.names]
