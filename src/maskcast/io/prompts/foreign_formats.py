"""Recognise annotation files that are not read, and say how to get one that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskcast.core.errors import MissingFileError, PromptError

HEAD = 4096
"""Number of bytes of an XML file in which its root is looked for."""

LABEL_STUDIO = (
    "Label Studio JSON is not read; in Label Studio choose Export > COCO, or Export > Brush labels "
    "to PNG for masks painted with a brush"
)
VIA = (
    "VIA (VGG Image Annotator) JSON is not read; in VIA choose Annotation > Export Annotations "
    "(COCO format)"
)
SA_V = (
    "SA-V JSON is not read as a mask; take the run lengths of one frame from 'masklet' and save "
    'them as [{"frame": FRAME, "object_id": ID, "segmentation": {"size": …, "counts": …}}]'
)
PANOPTIC = "COCO panoptic JSON is not read; save a PNG with one flat colour per object instead"
CVAT_XML = (
    "CVAT XML is not read; in CVAT choose Export annotations > COCO 1.0, or Segmentation mask 1.1 "
    "for PNG"
)
VOC_XML = (
    "Pascal VOC XML is not read; give its boxes as X,Y,WIDTH,HEIGHT, or its segmentation as PNG"
)
OTHERS = {
    "Supervisely": ({"objects", "size"}, {"frames", "framesCount"}),
    "V7 Darwin": ({"item", "annotations"},),
    "Datumaro": ({"items", "categories"},),
    "VoTT": ({"asset", "regions"},),
    "ISAT": ({"info", "objects"},),
    "Cityscapes": ({"imgHeight", "objects"},),
    "DAVIS scribble": ({"scribbles"},),
    "Labelbox": ({"data_row"},),
    "Ultralytics": ({"name", "class", "box"},),
}
"""Names of further formats, and sets of keys of which one is in a file or in its first entry."""
GEOJSON = "GeoJSON is not read; save COCO JSON, labelme JSON or a PNG"


def name_foreign_json(content: Any) -> str | None:
    """Return what to do about JSON of a known format that is not read; None for other JSON."""
    if isinstance(content, dict):
        return _name_mapping(content)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        keys = content[0].keys()
        if "completions" in keys or ("annotations" in keys and "data" in keys):
            return LABEL_STUDIO
        if "label" in keys and keys & {"image", "data"}:  # Label Studio's short form
            return LABEL_STUDIO
        if {"image", "annotations"} <= keys:
            return _not_read("CreateML")
        return _name_other(content[0])
    return None


def _name_other(content: dict[str, Any]) -> str | None:
    for name, marks in OTHERS.items():
        if any(mark <= content.keys() for mark in marks):
            return _not_read(name)
    return None


def _not_read(name: str) -> str:
    return f"{name} JSON is not read; export COCO JSON, labelme JSON or a PNG"


def _name_mapping(content: dict[str, Any]) -> str | None:
    keys = content.keys()
    if "masklet" in keys:
        return SA_V
    if _is_via(content):
        return VIA
    if "data" in keys and keys & {"annotations", "predictions", "completions"}:
        return LABEL_STUDIO
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    if isinstance(first, dict) and "segments_info" in first:
        return PANOPTIC
    if content.get("type") == "FeatureCollection":
        return GEOJSON
    return None if "images" in keys else _name_other(content)


def _is_via(content: dict[str, Any]) -> bool:
    keys = content.keys()
    if keys & {"_via_settings", "_via_img_metadata"} or {"project", "file", "metadata"} <= keys:
        return True
    return bool(keys) and all(isinstance(v, dict) and "regions" in v for v in content.values())


def reject_xml(path: Path) -> None:
    """Raise ``PromptError`` with the format of an XML file, and what to do about it."""
    if not path.is_file():
        raise MissingFileError(f"mask {path} does not exist", options=("masks",))
    with path.open("rb") as file:
        head = file.read(HEAD)
    if b"<annotations" in head:
        raise PromptError(f"{path}: {CVAT_XML}")
    if b"<annotation" in head:
        raise PromptError(f"{path}: {VOC_XML}")
    raise PromptError(f"{path}: XML is not read; save COCO JSON, labelme JSON or a PNG")
