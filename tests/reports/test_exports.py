"""The rows of the reports about exported videos."""

from __future__ import annotations

import logging
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from maskcast.core.types import ObjectMasks
from maskcast.io.video.source import open_frames
from maskcast.runs.export_settings import Exports
from maskcast.runs.exports import export
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest
from reports.rows import INPUTS

pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="MASKCAST_REPORTS is missing")


def exported(name: str, folder: Path, wanted: Exports) -> list[Path]:
    """Make exports of a video in which object 1 covers the left half."""
    frames = open_frames(INPUTS / "videos" / name)
    request = RunRequest(
        method="none", weights="none", weights_sha256="", input=name, input_sha256=""
    )
    run = open_run(folder, request, frame_name=frames.names.__getitem__)
    probs = torch.zeros(1, *frames.size)
    probs[:, :, : frames.size[1] // 2] = 1
    for frame_index in range(frames.count):
        run.write_frame(frame_index, ObjectMasks((1,), probs))
    run.update(status="finished", frames=frames.count)
    return export(run, frames, wanted)


def times_of(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        return [frame.pts * stream.time_base for frame in container.decode(stream)]


def test_videos_begin_at_0(tmp_path):  # "broadcast_time.ts --overlay --cutout prores"
    wanted = Exports(overlay=True, cutout=("prores",))
    for path in exported("broadcast_time.ts", tmp_path, wanted):
        times = times_of(path)
        assert (times[0], len(times)) == (0, 12)
        with av.open(path) as container:
            assert abs(container.start_time) < 200_000
            assert container.duration == pytest.approx(480_000, abs=1000)


def test_film_rates_are_exact(tmp_path):  # "film_rate.mkv --cutout prores"
    (path,) = exported("film_rate.mkv", tmp_path, Exports(cutout=("prores",)))
    steps = {after - before for before, after in pairwise(times_of(path))}
    assert steps == {Fraction(1001, 24000)}
    with av.open(path) as container:
        assert container.streams.video[0].average_rate == Fraction(24000, 1001)


def test_pixels_keep_their_shape(tmp_path, caplog):  # "wide_pixels.mp4 --overlay"
    wanted = Exports(overlay=True, cutout=("prores", "vp9"), matte=("ffv1",))
    with caplog.at_level(logging.WARNING):
        made = exported("wide_pixels.mp4", tmp_path, wanted)
    assert [path.suffix for path in made] == [".mp4", ".mov", ".webm", ".mkv"]
    for path in made:
        with av.open(path) as container:
            aspect = container.streams.video[0].sample_aspect_ratio
            # Matroska and WebM have whole pixels of width
            rounding = 0 if path.suffix in (".mp4", ".mov") else 0.5 / 160
            assert float(aspect) == pytest.approx(64 / 45, abs=rounding)
        assert len(times_of(path)) == 12
    assert "square pixels" not in caplog.text


def samples_of(path: Path) -> np.ndarray:
    with av.open(path) as container:
        frames = list(container.decode(audio=0))
        decoded = np.concatenate([frame.to_ndarray().reshape(1, -1) for frame in frames], axis=1)
    scale = 32768 if decoded.dtype == np.int16 else 1
    return decoded[0].astype(np.float64) / scale


def test_sound_is_kept(tmp_path):  # "with_sound.mp4 --overlay"
    source = INPUTS / "videos" / "with_sound.mp4"
    wanted = Exports(overlay=True, cutout=("prores", "vp9"))
    made = exported("with_sound.mp4", tmp_path / "loud", wanted)
    for path, codec in zip(made, ("aac", "aac", "opus"), strict=True):
        with av.open(path) as container:
            (stream,) = container.streams.audio
            assert stream.codec_context.name == codec
            assert container.duration == pytest.approx(480_000, abs=30_000)
    with av.open(source) as before, av.open(made[0]) as after:
        packets = [[bytes(p) for p in c.demux(audio=0) if p.size] for c in (before, after)]
    assert packets[0] == packets[1]
    heard = samples_of(made[2])
    assert np.sqrt((heard**2).mean()) == pytest.approx(
        np.sqrt((samples_of(source) ** 2).mean()), rel=0.15
    )
    (silent,) = exported("with_sound.mp4", tmp_path / "silent", Exports(overlay=True, sound=False))
    with av.open(silent) as container:
        assert not container.streams.audio
