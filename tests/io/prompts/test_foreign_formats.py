"""Formats that are not read are named, with the way to one that is."""

from __future__ import annotations

import json

import pytest

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.io.prompts.reading import read_prompts

RUNS = {"size": [24, 32], "counts": "x"}
REGION = {"shape_attributes": {"name": "polygon", "all_points_x": [1], "all_points_y": [2]}}


@pytest.mark.parametrize(
    ("content", "format_", "way"),
    [
        ([{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": []}]}],
         "Label Studio", "Export > COCO"),
        ([{"id": 1, "data": {}, "completions": []}], "Label Studio", "Export > COCO"),
        ([{"id": 1, "image": "a.jpg", "label": [{"points": []}]}], "Label Studio", "Export"),
        ({"data": {}, "predictions": []}, "Label Studio", "Export > COCO"),
        ({"_via_settings": {}, "_via_img_metadata": {}}, "VIA", "COCO format"),
        ({"a.jpg123": {"filename": "a.jpg", "regions": [REGION]}}, "VIA", "COCO format"),
        ({"project": {}, "config": {}, "file": {}, "metadata": {}}, "VIA", "COCO format"),
        ({"video_id": "sav_1", "masklet": [[RUNS]], "masklet_id": [0]}, "SA-V", "run lengths"),
        ({"images": [], "annotations": [{"segments_info": []}]}, "COCO panoptic", "PNG"),
        ({"type": "FeatureCollection", "features": []}, "GeoJSON", "COCO JSON"),
    ],
)  # fmt: skip
def test_json(tmp_path, content, format_, way):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(PromptError, match=rf"a\.json: {format_}.*{way}"):
        read_prompts([tmp_path / "a.json"], names=["0"], size=(24, 32))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('<?xml version="1.0"?>\n<annotations><version>1.1</version></annotations>',
         r"CVAT XML is not read; in CVAT choose Export annotations > COCO 1\.0"),
        ("<annotation><folder/></annotation>", "Pascal VOC XML is not read"),
        ("<svg/>", "XML is not read; save COCO JSON"),
        ("", "XML is not read; save COCO JSON"),
    ],
)  # fmt: skip
def test_xml(tmp_path, content, words):
    (tmp_path / "annotations.xml").write_text(content)
    with pytest.raises(PromptError, match=words):
        read_prompts([tmp_path / "annotations.xml"], names=["0"], size=(24, 32))
    with pytest.raises(MissingFileError):
        read_prompts([tmp_path / "none.xml"], names=["0"], size=(24, 32))
