"""Fuzz the readers of annotations in JSON, of run lengths, of marks and of lines of masks."""

from __future__ import annotations

import base64
import io
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from fuzz.budget import Fuzz
from fuzz.mutations import damaged, odd_values, resembling
from maskcast.core.errors import MaskcastError
from maskcast.core.types import Box
from maskcast.io.mask_lines import PackedFrame, pack_frame, parse_line
from maskcast.io.prompts.reading import describe_masks, read_prompts
from maskcast.io.rle import decode_mask, encode_mask

SIZE = (24, 32)
NAMES = [f"{number:05d}" for number in range(6)]
POLYGON = [2, 1, 6, 1, 6, 5, 2, 5]
RUNS = encode_mask(np.eye(*SIZE).astype(bool))


def patch() -> str:
    file = io.BytesIO()
    Image.fromarray(np.full((3, 4), 255, np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def shape(label: str, points: list, kind: str, **fields: object) -> dict:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **fields}


GOOD = [
    {
        "images": [
            {"id": 1, "file_name": "00000.jpg", "height": 24, "width": 32},
            {"id": 2, "file_name": "00003.jpg", "height": 24, "width": 32},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "track_id": 0, "segmentation": [POLYGON]},
            {"id": 2, "image_id": 2, "attributes": {"track_id": 1}, "bbox": [1, 2, 9, 9]},
            {"id": 3, "image_id": 1, "object_id": 4, "segmentation": RUNS},
        ],
    },
    [{"frame": 2, "object_id": 3, "segmentation": RUNS, "score": 0.5}],
    [{"segmentation": RUNS, "area": 24, "bbox": [0, 0, 9, 9]}, {"segmentation": [POLYGON]}],
    {
        "videos": [{"id": 1, "file_names": ["a/00000.jpg", "a/00001.jpg"]}],
        "annotations": [{"id": 1, "video_id": 1, "segmentations": [RUNS, None], "bboxes": [None]}],
    },
    {
        "imageHeight": 24,
        "imageWidth": 32,
        "shapes": [
            shape("1", [[2, 1], [6, 1], [6, 5]], "polygon"),
            shape("fish", [[2, 1], [9, 9]], "rectangle"),
            shape("fish", [[9, 9], [12, 9]], "circle"),
            shape("eye", [[3, 3]], "point"),
            shape("3", [[20, 3], [24, 6]], "mask", mask=patch()),
        ],
    },
]


def test_annotations(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "a.json"

    def read_or_reject(content: str | bytes) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            given = read_prompts([path], names=NAMES, size=SIZE)
        except MaskcastError as error:
            assert error.summary.isprintable()
        else:
            for marks in given.by_frame.values():
                assert all(0 < object_id < 2**24 for object_id in marks)
                for mark in marks.values():
                    assert isinstance(mark, Box) or (mark.shape == SIZE and bool(mark.any()))
            assert all(line.isprintable() for line in given.report)
        with suppress(MaskcastError):
            describe_masks(path)

    texts = resembling(GOOD) | damaged([json.dumps(tree).encode() for tree in GOOD])
    fuzz(texts, read_or_reject)


def test_marks(fuzz: Fuzz, tmp_path: Path):
    good = [{"absent": [[1, 1]], "ends": [["00004", 1], [5, 2]]}, {}, {"ends": []}]
    (tmp_path / "00000.json").write_text(json.dumps([{"id": 1, "segmentation": RUNS}]))

    def read_or_reject(content: str) -> None:
        (tmp_path / "marks.json").write_text(content)
        try:
            read_prompts([tmp_path], names=NAMES, size=SIZE)
        except MaskcastError as error:
            assert error.summary.isprintable()

    fuzz(resembling(good), read_or_reject)


def test_run_lengths(fuzz: Fuzz):
    packed = RUNS["counts"].encode()
    sizes = st.just([24, 32]) | odd_values
    counts = damaged([packed]).map(lambda b: b.decode("latin1")) | odd_values | st.text()
    listed = st.lists(st.integers(-2, 40), max_size=60) | st.just([768])

    def decode_or_reject(example: tuple) -> None:
        size, runs = example
        try:
            mask = decode_mask({"size": size, "counts": runs})
        except MaskcastError:
            return
        assert list(mask.shape) == size

    fuzz(st.tuples(sizes, counts | listed), decode_or_reject)


def test_lines_of_masks(fuzz: Fuzz):
    label_map = np.eye(*SIZE, dtype=np.int32) * 3
    line = pack_frame(7, "00007", label_map, {3: 0.9, 4: None}).line()

    def parse_or_reject(content: str | bytes) -> None:
        try:
            entry = parse_line(content if isinstance(content, bytes) else content.encode())
            if isinstance(entry, PackedFrame):
                assert entry.label_map().shape == entry.size
        except MaskcastError:
            return

    fuzz(damaged([line]) | resembling([json.loads(line)]), parse_or_reject)
