"""Exported videos have the length of their source, and all but mattes have its sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from contract.coloured_video import SIZE, frames, true_mask
from maskcast.core.types import ObjectMasks
from maskcast.io.video.source import open_frames
from maskcast.runs.export_settings import Exports
from maskcast.runs.exports import export
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest

COUNT, FPS, RATE, TONE = 12, 24, 48000, 440
EVERY_VIDEO = Exports(
    overlay=True,
    cutout=("prores", "vp9"),
    matte=("h264", "prores", "ffv1"),
    green_screen=("h264", "prores"),
    effect=("blur", "pixelate-background"),
)


@pytest.fixture
def clip(tmp_path) -> Path:
    """Write half a second of coloured squares with a tone of 440 Hz."""
    path = tmp_path / "clip.mp4"
    with av.open(path, "w") as container:
        pictures = container.add_stream("libx264", rate=FPS)
        pictures.height, pictures.width = SIZE
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for frame in frames(COUNT):
            pixels = (frame.permute(1, 2, 0) * 255).byte().numpy()
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(pictures.encode(None))
        times = np.arange(COUNT * RATE // FPS) / RATE
        samples = (0.5 * np.sin(2 * np.pi * TONE * times)).astype(np.float32)[np.newaxis]
        heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
    return path


def tone_in(path: Path) -> tuple[float, float]:
    """Return the strongest frequency in Hz and the length of the sound in seconds."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(path) as container:
        parts = [
            piece.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    samples = np.concatenate(parts)
    strongest = int(np.abs(np.fft.rfft(samples)).argmax())
    return strongest * RATE / len(samples), len(samples) / RATE


def test_every_video_keeps_length_and_all_but_mattes_keep_the_sound(clip, tmp_path):
    source = open_frames(clip)
    request = RunRequest(
        method="none",
        weights="none",
        weights_sha256="",
        input=str(clip),
        input_sha256="",
        prompts={"0:1": "mask a"},
    )
    run = open_run(tmp_path / "run", request, frame_name=source.names.__getitem__)
    for frame_index in range(COUNT):
        probs = true_mask(1, frame_index).float()[None]
        run.write_frame(frame_index, ObjectMasks((1,), probs))
    run.update(status="finished", frames=COUNT)
    made = export(run, source, EVERY_VIDEO)
    assert len(made) == 10
    for path in made:
        with av.open(path) as container:
            assert sum(1 for _ in container.decode(video=0)) == COUNT, path.name
            assert len(container.streams.audio) == (not path.name.startswith("matte")), path.name
        if not path.name.startswith("matte"):
            frequency, seconds = tone_in(path)
            assert frequency == pytest.approx(TONE, abs=4), path.name
            assert seconds == pytest.approx(COUNT / FPS, abs=0.05), path.name
