"""Write CVAT's XML, version 1.1, which it imports as *CVAT 1.1*.

CVAT has no tracks of masks. So there are two forms: tracks of polygons, which keep objects over
time and can be edited, and masks, which are exact and are grouped by object (``group_id``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import numpy as np

from maskcast.core.arrays import LabelArray, MaskArray, Picture
from maskcast.core.boxes import tight_box
from maskcast.core.files import replacing
from maskcast.io.annotations.masked_video import AnnotateFrame, MaskedVideo
from maskcast.io.annotations.outlines import TOLERANCE, Polygon, joined, outlines
from maskcast.io.label_maps import ids_in


@contextmanager
def cvat_tracks(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write one track of polygons per object, with a key frame on every frame.

    Parts and holes of an object are joined into one polygon. The outlines of all frames are in
    memory until the end.
    """
    tracks: dict[int, dict[int, str]] = {i: {} for i in video.categories.by_object}

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        for object_id in ids_in(label_map):
            rings = outlines(label_map == object_id, tolerance=TOLERANCE)
            tracks[object_id][video.first + frame_index] = _points(joined(rings))

    yield add
    last = video.first + len(video.pictures)
    with _document(path, video, mode="interpolation") as xml:
        for object_id, shapes in tracks.items():
            if not shapes:  # CVAT rejects a track without shapes
                continue
            label = video.categories.by_object[object_id]
            _start(xml, "track", id=object_id, label=label, source="auto")
            for frame, points, is_outside in _keyframes(shapes, last):
                _empty(
                    xml,
                    "polygon",
                    frame=frame,
                    keyframe=1,
                    outside=int(is_outside),
                    occluded=0,
                    points=points,
                    z_order=0,
                )
            xml.endElement("track")
            xml.ignorableWhitespace("\n")


@contextmanager
def cvat_masks(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write the exact masks of every frame; ``group_id`` is the object id."""
    height, width = video.size
    with _document(path, video, mode="annotation") as xml:

        def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
            _start(
                xml,
                "image",
                id=video.first + frame_index,
                name=video.pictures[frame_index],
                width=width,
                height=height,
            )
            for object_id in ids_in(label_map):
                label = video.categories.by_object[object_id]
                _write_mask(xml, label_map == object_id, label, group=object_id)
            xml.endElement("image")
            xml.ignorableWhitespace("\n")

        yield add


@contextmanager
def _document(path: Path, video: MaskedVideo, *, mode: str) -> Iterator[XMLGenerator]:
    height, width = video.size
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        xml.startDocument()
        _start(xml, "annotations")
        _text(xml, "version", "1.1")
        _start(xml, "meta")
        _start(xml, "task")
        _text(xml, "name", video.name)
        _text(xml, "size", str(video.first + len(video.pictures)))
        _text(xml, "mode", mode)
        _start(xml, "labels")
        for name in video.categories.names:
            _start(xml, "label")
            _text(xml, "name", name)
            _start(xml, "attributes")
            xml.endElement("attributes")
            xml.endElement("label")
        xml.endElement("labels")
        _start(xml, "original_size")
        _text(xml, "width", str(width))
        _text(xml, "height", str(height))
        xml.endElement("original_size")
        xml.endElement("task")
        xml.endElement("meta")
        xml.ignorableWhitespace("\n")
        yield xml
        xml.endElement("annotations")
        xml.endDocument()


def _start(xml: XMLGenerator, element: str, **attributes: str | int) -> None:
    texts = {key: str(value) for key, value in attributes.items()}
    xml.startElement(element, AttributesImpl(texts))


def _text(xml: XMLGenerator, name: str, content: str) -> None:
    _start(xml, name)
    xml.characters(content)
    xml.endElement(name)


def _empty(xml: XMLGenerator, element: str, **attributes: str | int) -> None:
    _start(xml, element, **attributes)
    xml.endElement(element)
    xml.ignorableWhitespace("\n")


def _keyframes(shapes: dict[int, str], last: int) -> Iterator[tuple[int, str, bool]]:
    """Yield frame, points and whether the object has left; an object leaves until it is back."""
    for frame, points in sorted(shapes.items()):
        yield frame, points, False
        if frame + 1 not in shapes and frame + 1 < last:
            yield frame + 1, points, True


def _points(polygon: Polygon) -> str:
    return ";".join(f"{x:g},{y:g}" for x, y in polygon.tolist())


def _write_mask(xml: XMLGenerator, mask: MaskArray, label: str, *, group: int) -> None:
    """Write run lengths, row by row inside the box of the mask, background first."""
    box = tight_box(mask)
    assert box is not None
    left, top, width, height = (int(side) for side in (box.x, box.y, box.width, box.height))
    values = mask[top : top + height, left : left + width].ravel()
    ends = np.flatnonzero(values[1:] != values[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [values.size]])).tolist()
    _empty(
        xml,
        "mask",
        label=label,
        source="auto",
        occluded=0,
        rle=", ".join(map(str, [0, *runs] if values[0] else runs)),
        left=left,
        top=top,
        width=width,
        height=height,
        z_order=0,
        group_id=group,
    )
