"""Fuzz the reader and the writer of label maps."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fuzz.budget import Fuzz
from fuzz.mutations import damaged
from maskcast.core.errors import MaskcastError
from maskcast.io.label_maps import decode_label_map, encode_label_map

IDS = st.sampled_from([0, 1, 2, 30, 255, 256, 65535, 65536, 2**24 - 1])
FILES = [encode_label_map(np.eye(9, 12, dtype=np.int64) * i) for i in (1, 255, 4000, 2**20)]


def test_damaged_files(fuzz: Fuzz):
    def read_or_reject(example: tuple[bytes, tuple[int, int] | None]) -> None:
        content, size = example
        try:
            label_map = decode_label_map(content, "a member", size)
        except MaskcastError as error:
            assert "a member" in error.summary
            return
        assert label_map.ndim == 2
        assert size is None or label_map.shape == size

    fuzz(st.tuples(damaged(FILES), st.none() | st.just((9, 12))), read_or_reject)


def test_what_is_written_is_read(fuzz: Fuzz):
    maps = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=IDS)

    def round_trip(label_map: np.ndarray) -> None:
        again = decode_label_map(encode_label_map(label_map), "a label map")
        np.testing.assert_array_equal(again, label_map)

    fuzz(maps, round_trip)
