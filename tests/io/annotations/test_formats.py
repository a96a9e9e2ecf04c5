"""Annotations are read back by the tools' own libraries, where these are installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pycocotools.mask
import pytest
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

from maskcast.core.errors import DataError
from maskcast.io.annotations.categories import categories_of
from maskcast.io.annotations.coco_video import coco_video, youtube_vis
from maskcast.io.annotations.cvat import cvat_masks, cvat_tracks
from maskcast.io.annotations.labelme import labelme_folder
from maskcast.io.annotations.masked_video import MaskedVideo
from maskcast.io.annotations.mots import mots_folder
from maskcast.io.annotations.yolo import yolo_folder
from maskcast.io.prompts.reading import read_prompts

SIZE = (48, 64)
NAMES = {1: 'dog & "cat"', 2: 'dog & "cat"'}
VIDEO = MaskedVideo(
    name="clip",
    pictures=["a.jpg", "b.jpg", "c.jpg"],
    size=SIZE,
    first=5,
    categories=categories_of([1, 2, 3, 7], NAMES),
)
"""Object 7 is on no frame."""


def label_map(frame: int) -> np.ndarray:
    """Object 1 has two parts and a hole, 2 is absent on frame 1, 3 is a single pixel."""
    drawn = Image.new("I", SIZE[::-1])
    canvas = ImageDraw.Draw(drawn)
    canvas.ellipse((4 + frame, 4, 28 + frame, 30), fill=1)
    canvas.ellipse((12 + frame, 12, 18 + frame, 20), fill=0)
    canvas.rectangle((2, 38, 12, 44), fill=1)
    if frame != 1:
        canvas.polygon([(40, 6), (60, 12), (44, 34)], fill=2)
    drawn.putpixel((62, 46), 3)
    return np.asarray(drawn, dtype=np.int32)


LABEL_MAPS = [label_map(frame) for frame in range(3)]


def write(writer: Callable[..., Any], path: Path) -> Path:
    generator = np.random.default_rng(0)
    with writer(path, video=VIDEO) as add:
        for frame_index, labels in enumerate(LABEL_MAPS):
            picture = generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            add(frame_index, picture, labels)
    return path


def iou(found: np.ndarray, mask: np.ndarray) -> float:
    return float((found & mask).sum() / (found | mask).sum())


def painted(polygons: list[list[Any]]) -> np.ndarray:
    """Fill polygons x, y, x, y, … in COCO's way."""
    parts = pycocotools.mask.frPyObjects(polygons, *SIZE)
    return pycocotools.mask.decode(pycocotools.mask.merge(parts)).astype(bool)


def test_coco_for_videos_is_read_by_its_own_library(tmp_path):
    coco = COCO(str(write(coco_video, tmp_path / "coco.json")))
    assert [one["frame_id"] for one in coco.loadImgs([1, 2, 3])] == [5, 6, 7]
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == ['dog & "cat"', "object"]
    for frame, labels in enumerate(LABEL_MAPS):
        annotations = coco.imgToAnns[frame + 1]
        ids = sorted(set(np.unique(labels).tolist()) - {0})
        assert [one["instance_id"] for one in annotations] == ids
        for one in annotations:
            mask = labels == one["instance_id"]
            assert coco.annToMask(one).astype(bool).tolist() == mask.tolist()
            assert one["area"] == mask.sum()
            assert one["bbox"] == pycocotools.mask.toBbox(one["segmentation"]).tolist()
            assert one["category_id"] == (1 if one["instance_id"] < 3 else 2)


def test_youtube_vis_has_one_annotation_per_object(tmp_path):
    tree = json.loads(write(youtube_vis, tmp_path / "vis.json").read_text())
    (video,) = tree["videos"]
    assert (video["length"], video["file_names"]) == (3, ["a.jpg", "b.jpg", "c.jpg"])
    by_object = {one["instance_id"]: one for one in tree["annotations"]}
    assert list(by_object) == [1, 2, 3, 7]
    assert by_object[7]["segmentations"] == [None, None, None]
    assert [one is None for one in by_object[2]["bboxes"]] == [False, True, False]
    for object_id, one in by_object.items():
        for encoded, labels in zip(one["segmentations"], LABEL_MAPS, strict=True):
            if encoded is not None:
                decoded = pycocotools.mask.decode(encoded).astype(bool)
                assert decoded.tolist() == (labels == object_id).tolist()


def test_tracks_of_cvat_leave_and_return(tmp_path):
    root = ElementTree.parse(write(cvat_tracks, tmp_path / "cvat.xml")).getroot()
    assert [name.text for name in root.iter("name")] == ["clip", 'dog & "cat"', "object"]
    tracks = {track.get("id"): list(track) for track in root.iter("track")}
    assert list(tracks) == ["1", "2", "3"]
    shapes = [(one.get("frame"), one.get("outside")) for one in tracks["2"]]
    assert shapes == [("5", "0"), ("6", "1"), ("7", "0")]
    for shape in tracks["1"]:
        points = [float(n) for pair in shape.get("points").split(";") for n in pair.split(",")]
        mask = LABEL_MAPS[int(shape.get("frame")) - 5] == 1
        assert shape.get("keyframe") == "1"
        assert iou(painted([points]), mask) > 0.95


def test_masks_of_cvat_are_exact(tmp_path):
    root = ElementTree.parse(write(cvat_masks, tmp_path / "cvat.xml")).getroot()
    images = list(root.iter("image"))
    assert (images[0].get("id"), images[0].get("name")) == ("5", "a.jpg")
    for image, labels in zip(images, LABEL_MAPS, strict=True):
        found = np.zeros(SIZE, dtype=np.int32)
        for mask in image:
            left, top, width, height = (
                int(mask.get(key)) for key in ("left", "top", "width", "height")
            )
            runs = [int(run) for run in mask.get("rle").split(",")]
            values = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
            found[top : top + height, left : left + width] += values * int(mask.get("group_id"))
        assert found.tolist() == labels.tolist()


def test_labelme_is_read_back_as_prompts(tmp_path):
    folder = write(labelme_folder, tmp_path / "labelme")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("a.jpg", "a.json", "b.jpg", "b.json", "c.jpg", "c.json", "labels.txt")
    ]
    assert (folder / "labels.txt").read_text() == 'dog & "cat"\nobject\n'
    with Image.open(folder / "a.jpg") as picture:
        assert picture.size == SIZE[::-1]
    given = read_prompts([folder / "a.json"], names=["a", "b", "c"], size=SIZE)
    masks = sorted(given.by_frame[0].values(), key=lambda mask: -int(mask.sum()))
    for mask, object_id in zip(masks, (1, 2, 3), strict=True):
        assert iou(mask.numpy(), LABEL_MAPS[0] == object_id) > 0.95


def test_yolo_lines_are_fractions_of_the_frame(tmp_path):
    folder = write(yolo_folder, tmp_path / "yolo")
    assert (folder / "data.yaml").read_text() == (
        'path: .\ntrain: images\nval: images\nnames:\n  0: "dog & \\"cat\\""\n  1: "object"\n'
    )
    assert sorted(path.name for path in (folder / "images").iterdir()) == VIDEO.pictures
    for name, labels in zip("abc", LABEL_MAPS, strict=True):
        lines = (folder / f"labels/{name}.txt").read_text().splitlines()
        ids = sorted(set(np.unique(labels).tolist()) - {0})
        assert [line.split()[0] for line in lines] == [str(int(i == 3)) for i in ids]
        for line, object_id in zip(lines, ids, strict=True):
            corners = np.array(line.split()[1:], dtype=float).reshape(-1, 2) * SIZE[::-1]
            assert iou(painted([corners.ravel().tolist()]), labels == object_id) > 0.95


def test_mots_codes_hold_category_and_instance(tmp_path):
    folder = write(mots_folder, tmp_path / "mots")
    assert (folder / "instances/labels.txt").read_text() == 'dog & "cat"\nobject\n'
    for name, labels in zip("abc", LABEL_MAPS, strict=True):
        with Image.open(folder / f"instances/{name}.png") as picture:
            coded = np.asarray(picture, dtype=np.int32)
        assert (coded % 1000).tolist() == labels.tolist()
        assert set(np.unique(coded)) <= {0, 1001, 1002, 2003}


def test_ids_beyond_mots_are_rejected(tmp_path):
    video = MaskedVideo(
        name="", pictures=[], size=SIZE, first=0, categories=categories_of([1000], {})
    )
    message = "ids below 1000 and 64 categories, got id 1000"
    with pytest.raises(DataError, match=message), mots_folder(tmp_path, video=video):
        pass


def read_by_datumaro(path: Path, form: str) -> dict[str, list[Any]]:
    """Return the annotations of each picture, and check the names of labels."""
    datumaro = pytest.importorskip("datumaro")
    dataset = datumaro.Dataset.import_from(str(path), form)
    labels = dataset.categories()[datumaro.AnnotationType.label]
    assert {label.name for label in labels} >= {'dog & "cat"', "object"}
    return {item.id: item.annotations for item in dataset}


def pictures_for(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in VIDEO.pictures:
        Image.new("RGB", SIZE[::-1]).save(folder / name)


def test_datumaro_reads_coco(tmp_path):
    pictures_for(tmp_path / "images/clip")
    write(coco_video, tmp_path / "annotations/instances_clip.json")
    items = read_by_datumaro(tmp_path, "coco_instances")
    for name, labels in zip("abc", LABEL_MAPS, strict=True):
        masks = [one for one in items[name] if hasattr(one, "image")]  # the others are boxes
        assert len(masks) == len(np.unique(labels)) - 1
        for one in masks:
            mask = np.asarray(one.image, dtype=bool)
            assert mask.tolist() == (labels == one.attributes["track_id"]).tolist()


def test_datumaro_reads_masks_of_cvat(tmp_path):
    pictures_for(tmp_path / "images")
    write(cvat_masks, tmp_path / "annotations.xml")
    items = read_by_datumaro(tmp_path, "cvat")
    for name, labels in zip("abc", LABEL_MAPS, strict=True):
        for one in items[name]:
            mask = np.asarray(one.image, dtype=bool)
            assert mask.tolist() == (labels == one.group).tolist()


def test_datumaro_reads_tracks_of_cvat(tmp_path):
    write(cvat_tracks, tmp_path / "annotations.xml")
    items = read_by_datumaro(tmp_path, "cvat")
    for frame, labels in enumerate(LABEL_MAPS, 5):
        for one in items[f"frame_{frame:06d}"]:
            if not one.attributes["outside"]:
                mask = labels == one.attributes["track_id"]
                assert iou(painted([list(one.points)]), mask) > 0.95


def test_datumaro_reads_mots(tmp_path):
    write(mots_folder, tmp_path / "train")
    items = read_by_datumaro(tmp_path, "mots")
    for name, labels in zip("abc", LABEL_MAPS, strict=True):
        for one in items[name]:
            mask = np.asarray(one.image, dtype=bool)
            assert mask.tolist() == (labels == one.attributes["track_id"]).tolist()
