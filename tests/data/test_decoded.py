"""A decoded video reads like the one it was made of."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import DatasetError
from maskcast.data.clip_folder import read_clip_folder
from maskcast.data.decoded import decode_videos


@pytest.fixture
def videos(tmp_path):
    generator = np.random.default_rng(0)
    for name, size in (("one", (6, 8)), ("two", (5, 7))):
        for index in range(3):
            frame = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
            write_frame(tmp_path / name / f"frames/{index}.png", frame)
            if index != 1:
                label_map = generator.integers(0, 3, size, dtype=np.uint8)
                write_labels(tmp_path / name / f"masks/{index}.png", label_map)
    return read_clip_folder(tmp_path).videos


def test_frames_and_label_maps_are_the_same(videos, tmp_path):
    decoded = decode_videos(videos, tmp_path / "decoded", name="test")
    for video, fast in zip(videos, pickle.loads(pickle.dumps(decoded)), strict=True):
        assert (fast.name, fast.frame_names) == (video.name, video.frame_names)
        for index in range(3):
            assert np.array_equal(fast.read_frame(index), video.read_frame(index))
        assert fast.read_annotation(1) is None
        assert np.array_equal(fast.read_annotation(2), video.read_annotation(2))


def test_it_is_decoded_once(videos, tmp_path):
    first = decode_videos(videos, tmp_path / "decoded", name="test")
    written = first[0].file.stat().st_mtime_ns
    assert (
        decode_videos(videos, tmp_path / "decoded", name="test")[0].file.stat().st_mtime_ns
        == written
    )
    fewer = decode_videos(videos[:1], tmp_path / "decoded", name="test")
    assert fewer[0].file != first[0].file
    assert not list((tmp_path / "decoded").glob("*.part*"))


def test_ids_that_do_not_fit_are_refused(tmp_path):
    class Wide:
        name, frame_names, has_void = "wide", ("0",), False

        def read_frame(self, frame_index, /):
            return np.zeros((2, 2, 3), dtype=np.uint8)

        def read_annotation(self, frame_index, /):
            return np.full((2, 2), 300, dtype=np.int32)

    with pytest.raises(DatasetError, match="above 255"):
        decode_videos([Wide()], tmp_path, name="test")
