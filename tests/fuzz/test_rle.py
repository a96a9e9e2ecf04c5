"""Fuzz the readers of run lengths: single masks, and lines of files with all masks of a video."""

from __future__ import annotations

import json

import numpy as np

from fuzz.budget import Fuzz
from fuzz.mutations import damaged, resembling
from maskcast.core.errors import DataError
from maskcast.io.mask_lines import PackedFrame, pack_frame, parse_line
from maskcast.io.rle import decode_mask, encode_mask

MASK = np.zeros((6, 9), np.bool_)
MASK[1:4, 2:7] = True
MASKS = [encode_mask(MASK), {"size": [6, 9], "counts": [8, 3, 3, 3, 37]}, {"size": [1, 1]}]
LINE = pack_frame(3, "00003", np.where(MASK, 2, 0), {2: 0.75, 5: None}).line()


def decodes_or_rejects(text: str) -> None:
    encoded = json.loads(text)
    if not isinstance(encoded, dict):
        return
    try:
        mask = decode_mask(encoded)
    except DataError:
        return
    assert list(mask.shape) == encoded["size"]
    assert decode_mask(encode_mask(mask)).tolist() == mask.tolist()


def parses_or_rejects(line: str | bytes) -> None:
    try:
        frame = parse_line(line if isinstance(line, bytes) else line.encode(errors="replace"))
        if isinstance(frame, PackedFrame):
            label_map = frame.label_map()
            assert label_map.shape == frame.size
            assert set(np.unique(label_map)) <= {0, *frame.objects}
    except DataError:
        return


def test_masks(fuzz: Fuzz):
    fuzz(resembling(MASKS), decodes_or_rejects)


def test_lines(fuzz: Fuzz):
    fuzz(damaged([LINE]) | resembling([json.loads(LINE)]), parses_or_rejects)
