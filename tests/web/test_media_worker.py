"""Frames as the model sees them, in any order, from any video."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.video_files import (
    VideoRecipe,
    cut_file,
    number_of,
    numbered_picture,
    write_numbered_video,
    write_sound,
)
from maskcast.core.errors import FrameError, UsageError, VideoError
from maskcast.web.frame_cache import cached_path
from maskcast.web.media_worker import MediaWorker
from maskcast.web.messages import (
    Done,
    GetPicture,
    Look,
    Opened,
    OpenVideo,
    Probe,
    Thumbnail,
    VideoRange,
)


def open_video(path: Path, cache: Path, **part: str) -> tuple[MediaWorker, Opened]:
    worker = MediaWorker()
    video = VideoRange(path=str(path), **part)
    return worker, worker.answer(OpenVideo(video=video, cache=str(cache)))


def picture(worker: MediaWorker, frame: int, width: int = 0) -> np.ndarray:
    reply = worker.answer(GetPicture(frame=frame, width=width))
    return np.asarray(Image.open(io.BytesIO(reply.content)))


def test_frames_are_right_in_any_order(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4")
    worker, opened = open_video(path, tmp_path / "cache")
    assert (opened.height, opened.width, len(opened.names), opened.first) == (48, 64, 12, 0)
    for frame in (0, 1, 11, 5, 6, 4, 11, 0):
        assert number_of(picture(worker, frame)) == frame


def test_a_part_is_counted_from_its_first_frame(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4")
    worker, opened = open_video(path, tmp_path / "cache", start="3", end="9")
    assert (opened.names[0], len(opened.names), opened.first) == ("00003", 6, 3)
    assert opened.times[0] == 0
    assert [number_of(picture(worker, frame)) for frame in (5, 0)] == [8, 3]
    with pytest.raises(FrameError, match="does not exist"):
        picture(worker, 6)


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (VideoRecipe(count=1), (48, 64)),
        (VideoRecipe(tick=lambda i: 40 * i + 15 * (i % 2)), (48, 64)),
        (VideoRecipe(rotation=90), (64, 48)),
        (VideoRecipe(size=(64, 48)), (64, 48)),
        (VideoRecipe(time_base=Fraction(1, 90000), tick=lambda i: 3003 * i), (48, 64)),
    ],
    ids=["one frame", "variable rate", "rotated", "portrait", "odd rate"],
)
def test_videos_of_every_kind_can_be_opened(tmp_path, recipe, size):
    path = write_numbered_video(tmp_path / "a.mp4", recipe)
    worker, opened = open_video(path, tmp_path / "cache")
    assert (opened.height, opened.width) == size
    assert len(opened.times) == recipe.count
    last = recipe.count - 1
    assert picture(worker, last).shape == (*size, 3)
    assert number_of(picture(worker, last)) == last


def test_a_folder_of_frames_has_no_times(tmp_path):
    (tmp_path / "frames").mkdir()
    for number in (3, 4, 8):
        image = Image.fromarray(numbered_picture(number, (48, 64)))
        image.save(tmp_path / "frames" / f"{number:04d}.png")
    worker, opened = open_video(tmp_path / "frames", tmp_path / "cache")
    assert (opened.names, opened.times, opened.rate) == (("0003", "0004", "0008"), None, None)
    assert number_of(picture(worker, 2)) == 8


def test_a_damaged_frame_is_an_error_of_its_own_and_can_be_held(tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(3):
        image = Image.fromarray(numbered_picture(number, (48, 64)))
        image.save(tmp_path / "frames" / f"{number:04d}.png")
    (tmp_path / "frames" / "0001.png").write_bytes(b"damaged")
    worker, _ = open_video(tmp_path / "frames", tmp_path / "cache")
    with pytest.raises(FrameError):
        picture(worker, 1)
    assert number_of(picture(worker, 2)) == 2
    worker, _ = open_video(tmp_path / "frames", tmp_path / "held", on_bad_frame="hold")
    assert number_of(picture(worker, 1)) == 0


def test_pictures_are_made_smaller_but_never_larger(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", VideoRecipe(size=(480, 960), count=2))
    worker, _ = open_video(path, tmp_path / "cache")
    assert picture(worker, 0, 640).shape == (320, 640, 3)
    assert picture(worker, 0, 1280).shape == (480, 960, 3)


def test_frames_around_the_playhead_are_prepared(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4")
    worker, _ = open_video(path, tmp_path / "cache")
    picture(worker, 6, 640)
    worker.answer(Look(frame=6, step=1))
    prepared = []
    while worker.prepare():
        prepared = [f for f in range(12) if cached_path(tmp_path / "cache", f, 640).is_file()]
        if len(prepared) == 4:
            assert prepared == [6, 7, 8, 9]
    assert prepared == list(range(12))
    for frame in prepared:
        image = Image.open(cached_path(tmp_path / "cache", frame, 640))
        assert number_of(np.asarray(image)) == frame


def test_a_frame_that_cannot_be_read_does_not_stop_the_preparation(tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(4):
        image = Image.fromarray(numbered_picture(number, (48, 64)))
        image.save(tmp_path / "frames" / f"{number:04d}.png")
    (tmp_path / "frames" / "0001.png").write_bytes(b"damaged")
    worker, _ = open_video(tmp_path / "frames", tmp_path / "cache")
    steps = 0
    while worker.prepare():
        steps += 1
        assert steps < 20
    assert cached_path(tmp_path / "cache", 3, 0).is_file()


@pytest.mark.parametrize(("size", "width"), [((48, 64), 0), ((48, 1600), 1280)])
def test_frames_are_prepared_in_the_size_that_scrubbing_asks_for(tmp_path, size, width):
    (tmp_path / "frames").mkdir()
    for number in range(3):
        Image.fromarray(numbered_picture(number, size)).save(tmp_path / "frames" / f"{number}.png")
    worker, _ = open_video(tmp_path / "frames", tmp_path / "cache")
    picture(worker, 0, 0)  # the playhead stands still on the first frame
    while worker.prepare():
        pass
    assert all(cached_path(tmp_path / "cache", frame, width).is_file() for frame in range(3))


def test_only_videos_pass_the_check(tmp_path):
    worker = MediaWorker()
    path = write_numbered_video(tmp_path / "a.mp4")
    assert worker.answer(Probe(path=str(path))) == Done()
    assert worker.answer(Thumbnail(path=str(path))).content[:2] == b"\xff\xd8"
    (tmp_path / "text.mp4").write_text("#EXTM3U\nfile:///etc/passwd\n")
    bad = [tmp_path / "text.mp4", write_sound(tmp_path / "s.m4a"), cut_file(path, 0.05)]
    for video in bad:
        with pytest.raises(VideoError):
            worker.answer(Probe(path=str(video)))


def test_nothing_is_shown_before_a_video_is_open(tmp_path):
    with pytest.raises(FrameError, match="no video"):
        picture(MediaWorker(), 0)
    assert not MediaWorker().prepare()
    path = write_numbered_video(tmp_path / "a.mp4")
    with pytest.raises(UsageError):
        open_video(path, tmp_path / "cache", start="99")
