"""Write video files with given presentation times.

overlay    .mp4    H.264, RGB pictures; plays everywhere
prores     .mov    ProRes 4444, RGB and alpha, 10 bits; for editing programs
vp9        .webm   VP9, RGB and alpha; for web pages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import av
import av.error
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    VideoReformatter,
)
from av.video.stream import VideoStream
from jaxtyping import UInt8

from maskcast.core.errors import OutputError
from maskcast.io.files import replacing
from maskcast.io.pictures import Timing

VideoKind: TypeAlias = Literal["overlay", "prores", "vp9"]

WriteFrame: TypeAlias = Callable[[UInt8[np.ndarray, "height width channels"]], None]
"""Takes the next picture: RGB, or RGBA for the kinds with alpha."""


@dataclass(frozen=True)
class _Format:
    container: str
    codec: str
    pixel_format: str
    channels: int
    even_sides: bool
    """Colour is stored at half the resolution, so sides must be even."""
    options: dict[str, str]


FORMATS: dict[VideoKind, _Format] = {
    "overlay": _Format("mp4", "libx264", "yuv420p", 3, True, {"crf": "18", "preset": "veryfast"}),
    "prores": _Format(
        "mov", "prores_ks", "yuva444p10le", 4, False, {"profile": "4444", "alpha_bits": "8"}
    ),
    "vp9": _Format(
        "webm",
        "libvpx-vp9",
        "yuva420p",
        4,
        True,
        {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
    ),
}
SUFFIXES: dict[VideoKind, str] = {"overlay": ".mp4", "prores": ".mov", "vp9": ".webm"}


@contextmanager
def open_video_writer(
    path: Path, kind: VideoKind, *, size: tuple[int, int], timing: Timing
) -> Iterator[WriteFrame]:
    """Give a function that writes the next frame; the file appears when the block ends well.

    Odd sides grow by one pixel, a copy of the last row or column, where the format needs even ones.

    Args:
        path: the file; its ending should be that of ``SUFFIXES[kind]``.
        kind: what to write.
        size: height and width of the pictures.
        timing: when the frames are shown; written in its own time base (WebM: in milliseconds).

    Raises:
        OutputError: the file cannot be written, or this build of PyAV lacks the encoder.
    """
    format_ = FORMATS[kind]
    with replacing(path) as temporary:
        try:
            options = _container_options(kind, timing)
            with av.open(temporary, "w", format=format_.container, options=options) as container:
                stream = _add_stream(container, format_, size, timing)
                ticks = iter(timing.ticks)
                converter = VideoReformatter()  # one for all: every frame's own would start threads

                def write(picture: UInt8[np.ndarray, "height width channels"]) -> None:
                    frame = _to_frame(picture, format_, converter)
                    frame.pts = next(ticks)
                    frame.time_base = timing.time_base
                    container.mux(stream.encode(frame))

                yield write
                container.mux(stream.encode(None))
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror) from error
            raise OutputError(f"cannot write {path}: {error}") from error


def _container_options(kind: VideoKind, timing: Timing) -> dict[str, str]:
    if kind == "vp9":
        return {}
    return {"movflags": "faststart", "video_track_timescale": str(timing.time_base.denominator)}


def _add_stream(
    container: OutputContainer, format_: _Format, size: tuple[int, int], timing: Timing
) -> VideoStream:
    try:
        stream = container.add_stream(format_.codec, rate=_rate(timing), options=format_.options)
    except (av.error.FFmpegError, ValueError) as error:
        raise OutputError(f"PyAV was built without the encoder {format_.codec}") from error
    assert isinstance(stream, VideoStream)
    height, width = size
    grow = 1 if format_.even_sides else 0
    stream.width, stream.height = width + (width & grow), height + (height & grow)
    stream.pix_fmt = format_.pixel_format
    stream.time_base = stream.codec_context.time_base = timing.time_base
    stream.codec_context.colorspace = Colorspace.ITU709
    stream.codec_context.color_range = ColorRange.MPEG
    stream.codec_context.color_primaries = ColorPrimaries.BT709
    stream.codec_context.color_trc = ColorTrc.BT709
    return stream


def _rate(timing: Timing) -> Fraction:
    """Return frames per second in small numbers, which encoders need for their bit rate."""
    return timing.rate.limit_denominator(1001)


def _to_frame(
    picture: UInt8[np.ndarray, "height width channels"],
    format_: _Format,
    converter: VideoReformatter,
) -> VideoFrame:
    height, width, channels = picture.shape
    assert channels == format_.channels
    if format_.even_sides and (height & 1 or width & 1):
        picture = np.pad(picture, ((0, height & 1), (0, width & 1), (0, 0)), mode="edge")
    layout = "rgb24" if channels == 3 else "rgba"
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=layout)
    return converter.reformat(
        frame,
        format=format_.pixel_format,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
    )
