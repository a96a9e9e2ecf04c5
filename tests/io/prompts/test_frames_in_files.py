"""Annotations belong to the frame that they name inside the file, not to the first one."""

from __future__ import annotations

import json

import pytest

from maskcast.core.errors import PromptError
from maskcast.io.prompts.reading import GivenPrompts, read_prompts

NAMES = [f"{number:05d}" for number in range(12)]
SIZE = (96, 128)
POLYGON = [24, 32, 56, 32, 56, 64, 24, 64]
POINTS = [[24, 32], [56, 32], [56, 64], [24, 64]]


def read(path, content: object) -> GivenPrompts:
    path.write_text(json.dumps(content))
    return read_prompts(path, names=NAMES, size=SIZE)


def frames(given: GivenPrompts) -> dict[int, list[int]]:
    return {frame: sorted(marks) for frame, marks in given.by_frame.items()}


def labelme(image: str) -> dict:
    return {"imagePath": image, "shapes": [{"label": "3", "points": POINTS}]}


def coco(*images: dict, **fields: object) -> dict:
    shown = [
        {"id": i, "image_id": image["id"], "segmentation": [POLYGON], "track_id": 3} | fields
        for i, image in enumerate(images, start=1)
    ]
    return {"images": list(images), "annotations": shown}


def image(number: int, name: str, **fields: object) -> dict:
    return {"id": number, "file_name": name} | fields


@pytest.mark.parametrize("name", ["00007.jpg", "../frames/frame_000007.png", "C:\\v\\00007.jpg"])
def test_labelme_names_its_picture(tmp_path, name):
    assert frames(read(tmp_path / "fish.json", labelme(name))) == {7: [3]}
    assert frames(read(tmp_path / "00007.json", labelme(name))) == {7: [3]}


def test_labelme_files_that_contradict_their_name_are_rejected(tmp_path):
    with pytest.raises(PromptError, match="is frame 00005, but 00007 in the file is frame 00007"):
        read(tmp_path / "00005.json", labelme("00007.jpg"))


def test_labelme_pictures_of_other_videos_are_rejected(tmp_path):
    with pytest.raises(PromptError, match=r"mask fish of IMG_0412 .* matches no frame"):
        read(tmp_path / "fish.json", labelme("IMG_0412.jpg"))
    assert frames(read(tmp_path / "fish.json", labelme("fish.jpg"))) == {0: [3]}


@pytest.mark.parametrize("field", ["frame_index", "frame_id"])
def test_coco_gives_the_index_of_a_frame(tmp_path, field):
    content = coco(image(1, "video.mp4", **{field: 4}))
    assert frames(read(tmp_path / "a.json", content)) == {4: [3]}
    content = coco(*(image(i, "video.mp4", **{field: i}) for i in (2, 9)))
    assert frames(read(tmp_path / "a.json", content)) == {2: [3], 9: [3]}


def test_an_index_that_contradicts_the_name_is_rejected(tmp_path):
    with pytest.raises(PromptError, match="000001 is frame 00001, but 0 in the file is frame 0000"):
        read(tmp_path / "a.json", coco(image(1, "v/img1/000001.jpg", frame_id=0)))


def test_two_images_of_one_name_are_rejected(tmp_path):
    with pytest.raises(PromptError, match="two images named 00001"):
        read(tmp_path / "a.json", coco(image(1, "00001.jpg"), image(2, "00001.jpg")))


def test_lvis_names_pictures_by_their_address(tmp_path):
    content = coco({"id": 1, "coco_url": "http://images.example.org/train/00003.jpg"})
    assert frames(read(tmp_path / "a.json", content)) == {3: [3]}


def test_boxes_that_are_two_corners_are_rejected(tmp_path):
    with pytest.raises(PromptError, match=r"two corners, write \[90, 60, 30, 30\]"):
        read(
            tmp_path / "a.json",
            coco(image(1, "00000.jpg"), segmentation=[], bbox=[90, 60, 120, 90]),
        )
    given = read(
        tmp_path / "a.json", coco(image(1, "0.jpg"), segmentation=[], bbox=[90, 60, 40, 39])
    )
    assert given.by_frame[0][3].width == 38  # a detector may reach a little out of the frame


def test_polygons_in_fractions_are_rejected(tmp_path):
    with pytest.raises(PromptError, match="in fractions of the frame"):
        read(
            tmp_path / "a.json",
            coco(image(1, "00000.jpg"), segmentation=[[0.2, 0.3, 0.4, 0.3, 0.4, 0.6]]),
        )


def test_objects_named_in_different_fields(tmp_path):
    content = coco(image(1, "00000.jpg"))
    other = [80, 30, 101, 30, 101, 51]
    content["annotations"].append({"id": 9, "image_id": 1, "segmentation": [other]})
    given = read(tmp_path / "a.json", content)
    assert frames(given) == {0: [1, 9]}
    assert "some annotations have no track_id" in given.report[-1]
    content["annotations"][1]["object_id"] = 4
    with pytest.raises(PromptError, match="in different fields"):
        read(tmp_path / "a.json", content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Supervisely", {"size": {"height": 96, "width": 128}, "objects": []}),
        ("V7 Darwin", {"item": {"name": "a.jpg"}, "annotations": [{"id": "x", "polygon": {}}]}),
        ("Datumaro", {"categories": {}, "items": []}),
        ("CreateML", [{"image": "a.jpg", "annotations": []}]),
        ("Labelbox", [{"data_row": {}, "projects": {}}]),
        ("Ultralytics", [{"name": "a", "class": 0, "confidence": 0.9, "box": {}}]),
        ("DAVIS scribble", {"scribbles": [[]], "sequence": "a"}),
    ],
)
def test_other_formats_are_named(tmp_path, name, content):
    with pytest.raises(PromptError, match=f"{name} JSON is not read; export COCO JSON"):
        read(tmp_path / "a.json", content)
