"""COCO and labelme files, whole and broken."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.core.types import Box
from maskcast.io.prompts.mask_json import read_mask_json
from maskcast.io.rle import encode_mask

SIZE = (8, 10)
SQUARE = [2, 1, 6, 1, 6, 5, 2, 5]  # covers the pixels x 2..5, y 1..4


def square() -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[1:5, 2:6] = True
    return mask


def save(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def coco(**annotation: object) -> dict:
    images = [{"id": 3, "file_name": "videos/a/00007.jpg", "height": 8, "width": 10}]
    return {"images": images, "annotations": [{"id": 5, "image_id": 3, **annotation}]}


@pytest.mark.parametrize(
    "segmentation",
    [[SQUARE], encode_mask(square()), {"size": [8, 10], "counts": [17, 4, 4, 4, 4, 4, 4, 4, 35]}],
    ids=["polygon", "packed", "runs"],
)
def test_coco_masks(tmp_path, segmentation):
    path = save(tmp_path / "a.json", coco(segmentation=segmentation))
    (frame,) = read_mask_json(path, SIZE)
    assert (frame.frame_key, frame.kind) == ("00007", "COCO JSON")
    np.testing.assert_array_equal(frame.marks[5], square())


def test_parts_of_one_object_are_joined(tmp_path):
    content = coco(segmentation=[SQUARE], object_id=9)
    content["annotations"].append(
        {"id": 6, "image_id": 3, "object_id": 9, "segmentation": [[7, 6, 9, 6, 9, 8, 7, 8]]}
    )
    (frame,) = read_mask_json(save(tmp_path / "a.json", content), SIZE)
    assert {label: int(mark.sum()) for label, mark in frame.marks.items()} == {9: 16 + 4}


def test_a_list_of_annotations_that_name_their_frames(tmp_path):
    encoded = encode_mask(square())
    content = [
        {"video_id": "a", "frame": frame, "object_id": 300, "segmentation": encoded, "score": 0.9}
        for frame in ("00000", 4)
    ]
    frames = read_mask_json(save(tmp_path / "a.json", content), SIZE)
    assert [(frame.frame_key, list(frame.marks)) for frame in frames] == [
        ("00000", [300]),
        (4, [300]),
    ]


def test_objects_on_several_frames_must_be_told_apart(tmp_path):
    content = [{"frame": i, "id": i, "segmentation": [SQUARE]} for i in (1, 2)]
    with pytest.raises(PromptError, match="must say which object they show"):
        read_mask_json(save(tmp_path / "a.json", content), SIZE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segmentation": None}, "has no segmentation"),
        ({"segmentation": [[1, 2, 3, 4]]}, "at least three points"),
        ({"segmentation": [[1, 2, 3, 4, "x", 5]]}, "at least three points"),
        ({"segmentation": [[1, 2, 3, 4, float("nan"), 5]]}, "at least three points"),
        ({"segmentation": [[0, 0, 1e9, 0, 0, 1e9]]}, "at least three points"),
        ({"segmentation": {"size": [4, 4], "counts": [16]}}, "of 4×4 .* but the frames are 8×10"),
        ({"segmentation": [SQUARE], "image_id": 99}, "image 99, which is not listed"),
        ({"segmentation": [SQUARE], "id": "five"}, "must be an integer, got 'five'"),
        ({"segmentation": [SQUARE], "id": True}, "must be an integer, got 'True'"),
    ],
)
def test_broken_annotations_are_refused(tmp_path, change, message):
    with pytest.raises(PromptError, match=message):
        read_mask_json(save(tmp_path / "a.json", coco(**change)), SIZE)


def labelme(*shapes: dict, **fields: object) -> dict:
    return {"shapes": list(shapes), "imageHeight": 8, "imageWidth": 10, **fields}


POLYGON = [[2, 1], [6, 1], [6, 5], [2, 5]]


def test_labelme_shapes(tmp_path):
    patch = io.BytesIO()
    Image.fromarray(np.full((2, 3), 255, dtype=np.uint8)).save(patch, format="PNG")
    content = labelme(
        {"label": "4", "points": POLYGON, "shape_type": "polygon"},
        {"label": "cat", "points": [[1, 2], [5, 7]], "shape_type": "rectangle"},
        {"label": "ball", "group_id": 2, "points": [[5, 4], [5, 6]], "shape_type": "circle"},
        {
            "label": "7",
            "points": [[6, 5], [9, 7]],
            "shape_type": "mask",
            "mask": base64.b64encode(patch.getvalue()).decode(),
        },
    )
    (frame,) = read_mask_json(save(tmp_path / "00003.json", content), SIZE)
    assert (frame.frame_key, list(frame.marks)) == ("00003", [4, "cat", "ball 2", 7])
    np.testing.assert_array_equal(frame.marks[4], square())
    assert frame.marks["cat"] == Box(1, 2, 4, 5)
    disc, pasted = frame.marks["ball 2"], frame.marks[7]
    assert isinstance(disc, np.ndarray)
    assert isinstance(pasted, np.ndarray)
    assert disc.sum() == 12  # pixel centres within 2 of (5, 4): 2·(2 + 4)
    assert pasted.sum() == 6
    assert pasted[5:7, 6:9].all()


def test_a_pasted_mask_keeps_its_pixels_and_is_cut_off_at_the_border(tmp_path):
    patch = np.array([[1, 0, 1], [0, 1, 1]], dtype=np.uint8) * 255
    packed = io.BytesIO()
    Image.fromarray(patch).save(packed, format="PNG")
    content = labelme(
        {
            "label": "7",
            "points": [[8, 7], [11, 9]],
            "shape_type": "mask",
            "mask": base64.b64encode(packed.getvalue()).decode(),
        }
    )
    (frame,) = read_mask_json(save(tmp_path / "a.json", content), SIZE)
    expected = np.zeros(SIZE, dtype=bool)
    expected[7, 8] = True  # of the first row its first two pixels; the second lies outside
    np.testing.assert_array_equal(frame.marks[7], expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (labelme({"label": "1", "points": [[1, 1]], "shape_type": "point"}),
         "unsupported shape type 'point'"),
        (labelme({"label": "1", "points": "x"}), "no list of points"),
        (labelme({"label": "1", "points": POLYGON}, imageWidth=11), "an image of 8×11"),
        (labelme("shape"), "must be an object with points"),
        (labelme({"label": "1", "points": [[10, 2], [15, 7]], "shape_type": "rectangle"}),
         "a rectangle lies outside the frame"),
        (labelme({"label": "1", "points": POLYGON},
                 {"label": "1", "points": [[1, 2], [5, 7]], "shape_type": "rectangle"}),
         "a rectangle and another shape"),
        (labelme({"label": "1", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "!!"}),
         "a mask is damaged"),
        ({"anything": 1}, "neither COCO"),
        ([1, 2], "neither COCO"),
        ("text", "neither COCO"),
    ],
)  # fmt: skip
def test_broken_files_are_refused(tmp_path, content, message):
    with pytest.raises(PromptError, match=message):
        read_mask_json(save(tmp_path / "a.json", content), SIZE)


@pytest.mark.parametrize("sides", [(10**9, 10**9), (float("inf"), 5), (-5, 5), (8.5, 10)])
def test_a_size_that_no_picture_has_is_refused_before_anything_is_painted(tmp_path, sides):
    shape = {"label": "1", "points": POLYGON}
    content = labelme(shape, imageHeight=sides[0], imageWidth=sides[1])
    with pytest.raises(PromptError, match=r"a\.json: the size of a mask must be"):
        read_mask_json(save(tmp_path / "a.json", content))


def test_polygons_drawn_on_pictures_of_another_size_are_refused(tmp_path):
    images = [{"id": 1, "file_name": "a.png", "height": 16, "width": 20}]
    content = coco(segmentation=[SQUARE], image_id=1) | {"images": images}
    with pytest.raises(PromptError, match=r"of 16×20 .* but the frames are 8×10"):
        read_mask_json(save(tmp_path / "a.json", content), SIZE)


def test_files_as_programs_on_windows_write_them(tmp_path):
    images = [{"id": 1, "file_name": r"C:\clips\00003.png"}]
    content = coco(segmentation=[SQUARE], image_id=1) | {"images": images}
    path = save(tmp_path / "a.json", content)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # the mark of UTF-8
    (frame,) = read_mask_json(path, SIZE)
    assert frame.frame_key == "00003"


def test_a_label_is_an_id_only_if_it_is_written_as_one(tmp_path):
    texts = ["-3", "--3", "²", "9" * 5000]
    content = labelme(*({"label": text, "points": POLYGON} for text in texts))
    (frame,) = read_mask_json(save(tmp_path / "a.json", content), SIZE)
    assert list(frame.marks) == [-3, *texts[1:]]


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, '{"a": \xff}'])
def test_what_is_no_json(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="latin1")
    with pytest.raises(PromptError, match="invalid JSON"):
        read_mask_json(tmp_path / "a.json", SIZE)


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError):
        read_mask_json(tmp_path / "a.json", SIZE)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["size", "counts", "points", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def entries(*names: str) -> st.SearchStrategy[dict]:
    """A JSON object in which any of these names stand for anything."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, trees))


annotations = st.lists(entries("id", "image_id", "frame", "object_id", "segmentation"), max_size=2)
shapes = st.lists(entries("label", "points", "shape_type", "mask", "group_id"), max_size=2)


@settings(max_examples=60, deadline=None)
@given(
    content=trees
    | annotations
    | annotations.map(lambda found: coco() | {"annotations": found})
    | shapes.map(lambda found: labelme(*found))
)
def test_whatever_the_json_holds_it_is_read_or_refused(tmp_path_factory, content):
    path = save(tmp_path_factory.mktemp("json") / "a.json", content)
    try:
        frames = read_mask_json(path, SIZE)
    except PromptError:
        return
    marks = [mark for frame in frames for mark in frame.marks.values()]
    assert all(isinstance(mark, Box) or mark.shape == SIZE for mark in marks)
