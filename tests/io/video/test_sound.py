"""Sound is copied where the container holds it, and otherwise encoded again, in time."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from maskcast.io.video.export_timing import steady_timing
from maskcast.io.video.formats import FORMATS
from maskcast.io.video.sound import Sound, has_sound
from maskcast.io.video.writer import open_video_writer

RATE = 48000
CLICK = 0.5
"""Time of the click in the source, in seconds."""


def source_with(codec: str, path: Path, *, layout: str = "stereo", video_at: int = 0) -> Path:
    """Write a second of black at 25 frames/s; its sound is a click."""
    with av.open(path, "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout=layout)
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = video_at + index, Fraction(1, 25)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        channels = sound.codec_context.layout.nb_channels
        samples = np.zeros((channels, RATE), np.float32)
        samples[:, int(CLICK * RATE) : int(CLICK * RATE) + 480] = 0.8
        heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        heard.sample_rate, heard.pts, heard.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
    return path


def exported(path: Path, kind, sound: Sound) -> Path:
    count = round(sound.seconds * 25)
    timing = steady_timing(count, Fraction(25))
    picture = np.zeros((48, 64, FORMATS[kind].channels), np.uint8)
    opened = open_video_writer(
        path, kind, size=(48, 64), timing=timing, parts=path.with_name("parts"), sound=sound
    )
    with opened as (_, write):
        for _ in range(count):
            write(picture)
    return path


def click_in(path: Path) -> tuple[str, int, float]:
    """Return codec and channels of the sound, and when the click begins."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        loudest, at = 0.0, -1.0
        for frame in container.decode(stream):
            samples = frame.to_ndarray().astype(np.float64)
            planar = frame.format.is_planar
            channels = frame.layout.nb_channels
            samples = samples if planar else samples.reshape(-1, channels).T
            if frame.format.name.startswith("s16"):
                samples = samples / 32768
            loud = np.flatnonzero(np.abs(samples[0]) > 0.4)
            if loud.size and loudest < 0.4:
                loudest, at = 0.8, float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
        return stream.codec_context.name, stream.codec_context.layout.nb_channels, at


@pytest.mark.parametrize(
    ("codec", "name", "kind", "kept"),
    [
        ("aac", "s.mp4", "h264", "aac"),
        ("aac", "s.mp4", "prores", "aac"),
        ("aac", "s.mp4", "vp9", "opus"),
        ("pcm_s16le", "s.mov", "prores", "pcm_s16le"),
        ("pcm_s16le", "s.mov", "h264", "aac"),
        ("flac", "s.mkv", "prores", "pcm_s16le"),
    ],
)
def test_sound_stays_in_time(tmp_path, codec, name, kind, kept):
    source = source_with(codec, tmp_path / name)
    whole = Sound(source, Fraction(0), Fraction(1))
    suffix = FORMATS[kind].suffix
    assert click_in(exported(tmp_path / f"whole{suffix}", kind, whole)) == (
        kept,
        2,
        pytest.approx(CLICK, abs=0.004),
    )
    later = Sound(source, Fraction(8, 25), Fraction(15, 25))
    path = exported(tmp_path / f"later{suffix}", kind, later)
    assert click_in(path)[2] == pytest.approx(CLICK - 8 / 25, abs=0.004)
    with av.open(path) as container:
        assert container.duration == pytest.approx(0.6e6, abs=0.03e6)


def test_surround_becomes_stereo_where_it_is_encoded_again(tmp_path):
    source = source_with("flac", tmp_path / "s.mkv", layout="5.1")
    sound = Sound(source, Fraction(0), Fraction(1))
    assert click_in(exported(tmp_path / "v.mp4", "h264", sound))[:2] == ("aac", 2)
    assert click_in(exported(tmp_path / "v.mov", "prores", sound))[:2] == ("pcm_s16le", 6)


def test_sound_that_ends_in_damage_does_not_stop_the_video(tmp_path, caplog):
    source = source_with("aac", tmp_path / "s.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with caplog.at_level(logging.WARNING):
        path = exported(
            tmp_path / "v.mp4", "h264", Sound(tmp_path / "broken.mp4", Fraction(0), Fraction(1))
        )
    assert "cannot read its sound" in caplog.text
    with av.open(path) as container:
        assert (len(container.streams.audio), container.streams.video[0].frames) == (0, 25)
    assert has_sound(source)
