"""A decoded video reads like the one it was made of."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import DataError, DatasetError, OutputError
from maskcast.data import decoded as decoded_files
from maskcast.data.decoded import decode_videos
from maskcast.data.readers.clip_folder import read_clip_folder


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


def test_a_broken_picture_is_left_to_be_met_where_it_is_drawn(videos, tmp_path, caplog):
    broken, label = tmp_path / "one/frames/1.png", tmp_path / "two/masks/2.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    label.write_bytes(b"")
    decoded = decode_videos(videos, tmp_path / "decoded", name="test")
    assert caplog.text.count("cannot decode a frame") == 2
    for video, frame_index in ((decoded[0], 1), (decoded[1], 2)):
        with pytest.raises(DataError, match="as an image"):
            _ = video.read_frame(frame_index), video.read_annotation(frame_index)
    assert np.array_equal(decoded[0].read_frame(2), videos[0].read_frame(2))
    broken.write_bytes(whole)  # mended later, the decoded file being there already
    again = decode_videos(videos, tmp_path / "decoded", name="test")
    assert np.array_equal(again[0].read_frame(1), videos[0].read_frame(1))


class Interrupted:
    """A video that is read as far as its second frame."""

    def __init__(self, video):
        self.video = video
        self.name, self.frame_names = video.name, video.frame_names
        self.has_void = video.has_void

    def read_annotation(self, frame_index, /):
        return self.video.read_annotation(frame_index)

    def read_frame(self, frame_index, /):
        if frame_index == 1:
            raise KeyboardInterrupt
        return self.video.read_frame(frame_index)


def test_what_was_decoded_before_an_interruption_is_kept(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded_files, "COMMIT_BYTES", 1)
    folder = tmp_path / "decoded"
    with pytest.raises(KeyboardInterrupt):
        decode_videos([videos[0], Interrupted(videos[1])], folder, name="test")
    unused = Interrupted(videos[0])  # would raise again if it were read
    decoded = decode_videos([unused, videos[1]], folder, name="test")
    for video, fast in zip(videos, decoded, strict=True):
        for index in range(3):
            assert np.array_equal(fast.read_frame(index), video.read_frame(index))
            assert np.array_equal(fast.read_annotation(index), video.read_annotation(index))
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".raw"]


def test_a_journal_without_its_file_is_not_believed(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded_files, "COMMIT_BYTES", 1)
    folder = tmp_path / "decoded"
    with pytest.raises(KeyboardInterrupt):
        decode_videos([videos[0], Interrupted(videos[1])], folder, name="test")
    (part,) = folder.glob("*.part")
    part.write_bytes(part.read_bytes()[:100])
    decoded = decode_videos(videos, folder, name="test")
    assert np.array_equal(decoded[0].read_frame(2), videos[0].read_frame(2))


@pytest.mark.parametrize("damaged", ["*.raw", "*.json"])
@pytest.mark.parametrize("kept", [None, 40])
def test_a_result_that_is_lost_or_cut_off_is_not_believed(videos, tmp_path, damaged, kept):
    folder = tmp_path / "decoded"
    decode_videos(videos, folder, name="test")
    (path,) = folder.glob(damaged)
    whole = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(whole[:kept])
    decoded = decode_videos(videos, folder, name="test")
    assert np.array_equal(decoded[1].read_frame(2), videos[1].read_frame(2))


def test_of_two_that_want_it_decoded_one_does(videos, tmp_path):
    together, reads = threading.Barrier(2), []

    class Slow(Interrupted):
        def read_frame(self, frame_index, /):
            reads.append(frame_index)
            with suppress(threading.BrokenBarrierError):
                together.wait(timeout=0.3)  # would be met by the other one if both decoded
            return self.video.read_frame(frame_index)

    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(decode_videos, [Slow(videos[0])], tmp_path / "decoded", name="test")
            for _ in range(2)
        ]
    frames = [call.result()[0].read_frame(2) for call in calls]
    assert np.array_equal(frames[0], frames[1])
    assert reads == [0, 1, 2]


def test_a_full_disk_is_said_in_one_sentence(videos, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoded_files.os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*\.part: No space left on device"):
        decode_videos(videos, tmp_path / "decoded", name="test")


def test_ids_that_do_not_fit_are_refused(tmp_path):
    class Wide:
        name, frame_names, has_void = "wide", ("0",), False

        def read_frame(self, frame_index, /):
            return np.zeros((2, 2, 3), dtype=np.uint8)

        def read_annotation(self, frame_index, /):
            return np.full((2, 2), 300, dtype=np.int32)

    with pytest.raises(DatasetError, match="above 255"):
        decode_videos([Wide()], tmp_path, name="test")
