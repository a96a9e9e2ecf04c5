"""Fuzz boxes, absences and ends on the command line, and the names of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from fuzz.budget import Fuzz
from maskcast.core.errors import MaskcastError
from maskcast.core.types import Box
from maskcast.io.label_maps import write_label_map
from maskcast.io.prompts.boxes import parse_box
from maskcast.io.prompts.frame_names import number_in
from maskcast.io.prompts.reading import read_prompts

SIZE = (48, 64)
NAMES = [f"shot_{number:04d}" for number in range(1, 9)]
NUMBERS = st.sampled_from(
    ["0", "1", "-1", "0.5", "64", "1e9", "9" * 400, "nan", "", "²", "٣", " 7 "]
)
BOXES = st.text(alphabet="0123456789.,:-+e nif²_", max_size=30) | st.tuples(
    st.sampled_from(["", "3:", "0003:3:", "shot_0003:1:", "9" * 400 + ":1:", "x:"]),
    st.lists(NUMBERS, min_size=4, max_size=4).map(",".join),
).map("".join)


def test_boxes(fuzz: Fuzz):
    def parse_or_reject(text: str) -> None:
        try:
            box = parse_box(text, SIZE).box
            marks = read_prompts([], [text], names=NAMES, size=SIZE).by_frame
        except MaskcastError as error:
            assert len(error.summary) < 400
            return
        assert 0 <= box.x < box.x + box.width <= SIZE[1]
        assert 0 <= box.y < box.y + box.height <= SIZE[0]
        (one,) = (mark for by_id in marks.values() for mark in by_id.values())
        assert isinstance(one, Box)

    fuzz(BOXES, parse_or_reject)


def test_absences_and_ends(fuzz: Fuzz):
    texts = st.text(alphabet="0123456789:,-shot_²", max_size=20)

    def read_or_reject(example: tuple[str, str]) -> None:
        absent, end = example
        try:
            read_prompts([], ["1:3,3,9,9"], absent=[absent], ends=[end], names=NAMES, size=SIZE)
        except MaskcastError as error:
            assert len(error.summary) < 400

    fuzz(st.tuples(texts | st.just("2-4:1"), texts | st.just("6:1")), read_or_reject)


def test_names_of_masks(fuzz: Fuzz, tmp_path: Path):
    parts = st.sampled_from(
        ["frame", "mask", "shot", "_", "-", ".", " ", "3", "0003", "12", "v2", "é"]
    )
    path = tmp_path / "a.png"
    write_label_map(path, np.eye(*SIZE, dtype=np.int32))

    def find_or_reject(name: str) -> None:
        mask = path.rename(tmp_path / f"{name}.png")
        try:
            (frame,) = read_prompts([mask], names=NAMES, size=SIZE).by_frame
        except MaskcastError:
            return
        finally:
            mask.rename(path)
        digits = number_in(name)
        assert frame == 0 if digits is None else int(digits) in (frame, frame + 1)

    fuzz(st.lists(parts, min_size=1, max_size=6).map("".join).map("x".__add__), find_or_reject)
