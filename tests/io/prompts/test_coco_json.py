"""Annotations as programs write them: who is which object, on which frame, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from maskcast.core.errors import PromptError
from maskcast.core.types import Box
from maskcast.io.prompts.reading import GivenPrompts, describe_masks, read_prompts
from maskcast.io.rle import encode_mask

SIZE = (24, 32)
NAMES = [f"{number:05d}" for number in range(8)]
LEFT, RIGHT = [2, 1, 6, 1, 6, 5, 2, 5], [10, 4, 20, 4, 20, 14, 10, 14]
SIXTEEN, HUNDRED = 16, 100
"""Pixels of the two polygons."""


def read(folder: Path, content: object, name: str = "a.json", **options) -> GivenPrompts:
    (folder / name).write_text(json.dumps(content))
    return read_prompts([folder / name], **{"names": NAMES, "size": SIZE, **options})


def pixels(given: GivenPrompts) -> dict[int, dict[int, int]]:
    return {
        frame: {i: int(mark.sum()) for i, mark in marks.items()}
        for frame, marks in given.by_frame.items()
    }


def image(image_id: object, file_name: str, **fields: object) -> dict:
    return {"id": image_id, "file_name": file_name, "height": 24, "width": 32, **fields}


def one(polygon: list, image_id: object = 1, **fields: object) -> dict:
    return {"image_id": image_id, "segmentation": [polygon], **fields}


FIRST = image(1, "00000.jpg")


@pytest.mark.parametrize("first", [0, 1, 5])
@pytest.mark.parametrize("key", ["track_id", "object_id", "instance_id"])
@pytest.mark.parametrize("nested", [False, True])
def test_tracks_of_cvat_keep_their_ids_or_are_counted_from_1(tmp_path, first, key, nested):
    def track(number: int) -> dict:
        return {"attributes": {key: number, "occluded": False}} if nested else {key: number}

    images = [image(7, "frame_000002.PNG"), image(9, "frame_000005.PNG")]
    annotations = [
        one(LEFT, 7, id=1, **track(first)), one(RIGHT, 7, id=2, **track(first + 1)),
        one(LEFT, 9, id=3, **track(first + 1)),
    ]  # fmt: skip
    given = read(tmp_path, {"images": images, "annotations": annotations})
    low = first or 1
    assert pixels(given) == {2: {low: SIXTEEN, low + 1: HUNDRED}, 5: {low + 1: SIXTEEN}}
    assert (f"its field {key} counts from 0" in "\n".join(given.report)) == (first == 0)


def test_a_track_keeps_its_id_in_a_file_of_its_own(tmp_path):
    tracks = {0: one(LEFT, track_id=0), 1: one(RIGHT, track_id=1)}
    first = {"images": [FIRST], "annotations": [tracks[0], tracks[1]]}
    later = {"images": [image(1, "00004.jpg")], "annotations": [tracks[1]]}
    masks = [tmp_path / "first.json", tmp_path / "later.json"]
    for path, content in zip(masks, (first, later), strict=True):
        path.write_text(json.dumps(content))
    given = read_prompts(masks, names=NAMES, size=SIZE)
    assert pixels(given) == {0: {1: SIXTEEN, 2: HUNDRED}, 4: {2: HUNDRED}}


@pytest.mark.parametrize("ids", [(0, 1), (1, 2), (4, 0)])
def test_ids_of_annotations_may_begin_with_0(tmp_path, ids):
    content = {
        "images": [image(0, "00000_png.rf.0f3c.jpg")],
        "annotations": [one(LEFT, 0, id=ids[0]), one(RIGHT, 0, id=ids[1])],
    }
    shift = 0 in ids
    given = read(tmp_path, content)
    assert pixels(given) == {0: {ids[0] + shift: SIXTEEN, ids[1] + shift: HUNDRED}}


@pytest.mark.parametrize(
    "extra", [{}, {"id": None}, {"id": 532_497_631}], ids=["none", "null", "too large"]
)
@pytest.mark.parametrize("as_list", [True, False])
def test_lists_of_sam_are_numbered_in_order(tmp_path, extra, as_list):
    masks = [
        {"segmentation": encode_mask(np.eye(24, 32, shift).astype(bool)), "area": 9, **extra}
        for shift in (0, 3, 6)
    ]
    if extra.get("id"):
        for number, mask in enumerate(masks):
            mask["id"] += number
    given = read(tmp_path, masks if as_list else {"image": {}, "annotations": masks})
    assert pixels(given) == {0: {1: 24, 2: 24, 3: 24}}
    assert "are numbered in order, because" in given.report[0]


def test_masks_of_sam_as_rows(tmp_path):
    rows = np.zeros(SIZE, bool)
    rows[3:7, 4:9] = True
    given = read(tmp_path, [{"segmentation": rows.tolist()}, {"segmentation": (~rows).tolist()}])
    assert pixels(given) == {0: {1: 20, 2: 24 * 32 - 20}}


def youtube_vis(**video: object) -> dict:
    runs = encode_mask(np.eye(24, 32).astype(bool))
    return {
        "videos": [{"id": 3, "file_names": ["clip/00002.jpg", "clip/00003.jpg"], **video}],
        "annotations": [
            {"id": 4, "video_id": 3, "segmentations": [runs, None]},
            {"id": 9, "video_id": 3, "segmentations": [None, [LEFT]], "bboxes": [None, None]},
        ],
    }


def test_tracks_of_youtube_vis(tmp_path):
    assert pixels(read(tmp_path, youtube_vis())) == {2: {4: 24}, 3: {9: SIXTEEN}}
    assert pixels(read(tmp_path, youtube_vis(file_names=None))) == {0: {4: 24}, 1: {9: SIXTEEN}}


def test_tracks_with_boxes_only_and_with_ids_from_0(tmp_path):
    content = youtube_vis()
    for number, track in enumerate(content["annotations"]):
        track |= {"id": number, "segmentations": None, "bboxes": [None, [1, 2, 3, 4]]}
    assert read(tmp_path, content).by_frame == {3: {1: Box(1, 2, 3, 4), 2: Box(1, 2, 3, 4)}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segmentations": "x"}, "a list with one entry per frame"),
        ({"video_id": 8}, "tracks of 2 videos"),
        ({"segmentations": [None, None, [LEFT]]}, "longer than the file_names"),
    ],
)
def test_tracks_that_are_wrong(tmp_path, change, words):
    content = youtube_vis()
    content["annotations"][1] |= change
    with pytest.raises(PromptError, match=words):
        read(tmp_path, content)


@pytest.mark.parametrize("segmentation", [[], None, [[]], "missing"])
def test_a_box_without_a_segmentation_is_a_box(tmp_path, segmentation):
    annotation = {"id": 1, "image_id": 1, "bbox": [24, 8.5, 30, 30], "segmentation": segmentation}
    if segmentation == "missing":
        del annotation["segmentation"]
    given = read(tmp_path, {"images": [FIRST], "annotations": [annotation]})
    assert given.by_frame == {0: {1: Box(24, 8.5, 8, 15.5)}}  # cut off at the frame


@pytest.mark.parametrize(
    ("bbox", "words"),
    [
        ([0.1, 0.2, 0.3, 0.4], r"in fractions of the frame; in pixels it is \[3,5,10,10\]"),
        ([40, 0, 5, 5], "lies outside the frame"),
        ([1, 2, 3], r"must be \[x, y, width, height\]"),
        ([1, 2, 0, 4], "must be positive"),
        ([1, 2, float("nan"), 4], "must be"),
        (["1", 2, 3, 4], "must be"),
        (None, "has no segmentation"),
    ],
)
def test_boxes_that_are_wrong(tmp_path, bbox, words):
    annotation = {"id": 1, "image_id": 1, "bbox": bbox}
    with pytest.raises(PromptError, match=words):
        read(tmp_path, {"images": [FIRST], "annotations": [annotation]})


def test_other_images_of_a_file_are_skipped_with_a_word(tmp_path):
    others = [image(2, "beach.jpg", height=7, width=9), image(3, "00099.jpg", height=None)]
    content = {
        "images": [FIRST, *others],
        "annotations": [
            one(LEFT, 1, id=1), one(RIGHT, 2, id=2), one(RIGHT, 3, id=3), one(RIGHT, 3, id=4),
        ],
    }  # fmt: skip
    given = read(tmp_path, content)
    assert pixels(given) == {0: {1: SIXTEEN}}
    assert (
        "3 annotations of 2 images that are no frames of this video are skipped" in given.report[0]
    )


def test_a_file_without_a_frame_of_the_video_is_refused(tmp_path):
    images = [image(1, "dog.jpg"), image(2, "cat.jpg")]
    content = {"images": images, "annotations": [one(LEFT, i, object_id=1) for i in (1, 2)]}
    with pytest.raises(PromptError, match="2 masks match no frame"):
        read(tmp_path, content)
    content["annotations"] = content["annotations"][:1]
    assert list(read(tmp_path, content).by_frame) == [0]  # its one image is the first frame


@pytest.mark.parametrize("other", ["b/00000.jpg", "00000.png", r"C:\b\00000.jpg"])
def test_frames_of_two_videos_are_not_mixed(tmp_path, other):
    images = [image(1, "a/00000.jpg"), image(2, other)]
    content = {"images": images, "annotations": [one(LEFT, 1, id=1), one(RIGHT, 2, id=2)]}
    with pytest.raises(PromptError, match="two images named 00000"):
        read(tmp_path, content)


@pytest.mark.parametrize("ids", [(7, "7"), ("7", 7), ("x", "x")])
def test_ids_of_images_as_numbers_and_as_text(tmp_path, ids):
    content = {"images": [image(ids[0], "00003.jpg")], "annotations": [one(LEFT, ids[1], id=1)]}
    assert pixels(read(tmp_path, content)) == {3: {1: SIXTEEN}}


@pytest.mark.parametrize(("value", "number"), [("7", 7), (7.0, 7), (7, 7)])
def test_object_ids_of_other_kinds(tmp_path, value, number):
    content = {"images": [FIRST], "annotations": [one(LEFT, object_id=value)]}
    assert pixels(read(tmp_path, content)) == {0: {number: SIXTEEN}}


@pytest.mark.parametrize("value", ["01", "seven", "", 7.5, True, [7], 1e300])
def test_object_ids_that_are_no_integers_are_refused(tmp_path, value):
    content = {"images": [FIRST], "annotations": [one(LEFT, object_id=value)]}
    with pytest.raises(PromptError, match="must be an integer, got"):
        read(tmp_path, content)


def test_parts_of_one_object_are_reported(tmp_path):
    annotations = [one(LEFT, object_id=3), one(RIGHT, object_id=3)]
    given = read(tmp_path, {"images": [FIRST], "annotations": annotations})
    assert pixels(given) == {0: {3: SIXTEEN + HUNDRED}}
    assert "2 annotations are parts of object 3" in given.report[0]
    annotations[1] = {"image_id": 1, "object_id": 3, "bbox": [1, 1, 4, 4]}
    with pytest.raises(PromptError, match="has a bbox and another annotation"):
        read(tmp_path, {"images": [FIRST], "annotations": annotations})


def test_a_frame_as_a_number_is_an_index_and_as_text_a_name(tmp_path):
    names = [str(number) for number in range(1, 9)]
    content = [{"frame": key, "object_id": 1, "segmentation": [LEFT]} for key in (4, "8")]
    assert list(read(tmp_path, content, names=names).by_frame) == [4, 7]


def test_polygons_as_one_flat_list(tmp_path):
    content = {"images": [FIRST], "annotations": [{"id": 1, "segmentation": LEFT}]}
    assert pixels(read(tmp_path, content)) == {0: {1: SIXTEEN}}


def test_a_file_is_described_without_a_video(tmp_path):
    content = {"images": [image(0, "a.jpg")], "annotations": [one(LEFT, 0, id=0)]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert describe_masks(tmp_path / "a.json")[0] == "a.json: COCO JSON, 32×24, id 1 (16 pixels)"
