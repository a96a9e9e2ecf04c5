"""Write video files with given presentation times.

overlay    .mp4    H.264, RGB pictures; plays everywhere
prores     .mov    ProRes 4444, RGB and alpha, 10 bits; for editing programs
vp9        .webm   VP9, RGB and alpha; for web pages

A video is encoded in parts, each with a new encoder into its own file, which is written atomically.
At the end the packets of all parts are joined without re-encoding. After an interruption, writing
continues after the finished parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

import av
import av.error
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
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
from maskcast.core.files import replacing
from maskcast.io.video.reader import Timing

VideoKind: TypeAlias = Literal["overlay", "prores", "vp9"]

WriteFrame: TypeAlias = Callable[[UInt8[np.ndarray, "height width channels"]], None]
"""A function that writes the next picture: RGB, or RGBA for the kinds with alpha."""


@dataclass(frozen=True)
class _Format:
    container: str
    codec: str
    pixel_format: str
    channels: int
    even_sides: bool
    """Whether sides must be even, because colour is stored at half the resolution."""
    options: dict[str, str]
    part_frames: int
    """Frames per part. A part begins with a key frame, and its packets are in memory at once."""
    reordering: int = 0
    """Maximum number of frames by which the encoder may send a frame earlier than it is shown."""


FORMATS: dict[VideoKind, _Format] = {
    "overlay": _Format(
        "mp4",
        "libx264",
        "yuv420p",
        3,
        True,
        {"crf": "18", "preset": "veryfast"},
        part_frames=150,
        reordering=2,
    ),
    "prores": _Format(
        "mov",
        "prores_ks",
        "yuva444p10le",
        4,
        False,
        {"profile": "4444", "alpha_bits": "8"},
        part_frames=25,
    ),
    "vp9": _Format(
        "webm",
        "libvpx-vp9",
        "yuva420p",
        4,
        True,
        {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
        part_frames=50,
    ),
}
SUFFIXES: dict[VideoKind, str] = {"overlay": ".mp4", "prores": ".mov", "vp9": ".webm"}


@contextmanager
def open_video_writer(
    path: Path, kind: VideoKind, *, size: tuple[int, int], timing: Timing, parts: Path
) -> Iterator[tuple[int, WriteFrame]]:
    """Yield the index of the first frame to write, and a function that writes the next frame.

    From that index on, every frame of ``timing`` must be written. The file appears when the block
    ends without an error. If the format needs even sides, odd ones are padded by repeating the last
    row or column.

    Args:
        path: the file; it should have the extension ``SUFFIXES[kind]``.
        kind: format of the video.
        size: height and width of the pictures in pixels.
        timing: presentation times; written in their own time base (WebM: in milliseconds).
        parts: folder for the parts, which together are as large as the file. A later call with the
            same arguments continues after them. The caller deletes the folder when the file is
            complete or the pictures change.

    Raises:
        OutputError: the file cannot be written, or this build of PyAV lacks the encoder.
    """
    format_ = FORMATS[kind]
    folder = parts / _fingerprint(format_, size, timing)
    begins = range(0, len(timing.ticks), format_.part_frames)
    paths = {begin: folder / f"{begin:08d}{path.suffix}" for begin in begins}
    first = next((begin for begin in begins if not paths[begin].is_file()), len(timing.ticks))
    missing = {begin: part for begin, part in paths.items() if begin >= first}
    with closing(_write_parts(missing, format_, size, timing)) as writing:
        next(writing)
        yield first, writing.send
    _join(paths, path, format_, timing)


def _fingerprint(format_: _Format, size: tuple[int, int], timing: Timing) -> str:
    """Return a name for everything that parts must have in common to be joined."""
    common = (format_, size, timing.time_base, tuple(timing.ticks), av.library_versions)
    return hashlib.sha256(repr(common).encode()).hexdigest()[:16]


def _write_parts(
    paths: Mapping[int, Path], format_: _Format, size: tuple[int, int], timing: Timing
) -> Generator[None, UInt8[np.ndarray, "height width channels"], None]:
    """Receive pictures one by one, and write the parts; ``paths`` has them by first frame index."""
    converter = VideoReformatter()  # shared, because a new one per frame would start threads
    for begin, path in paths.items():
        ticks = timing.ticks[begin : begin + format_.part_frames]
        with _open_container(path, format_, timing) as container:
            stream = _add_stream(container, format_, size, timing)
            for tick in ticks:
                frame = _to_frame((yield), format_, converter)
                frame.pts, frame.time_base = tick - ticks[0], timing.time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    yield


def _join(paths: Mapping[int, Path], path: Path, format_: _Format, timing: Timing) -> None:
    """Write the packets of all parts into one file, with the presentation times of ``timing``.

    If the encoder reorders frames, decoding times start earlier by a constant lead.
    """
    ticks = list(timing.ticks)
    ahead = min(format_.reordering, len(ticks) - 1)
    lead = ticks[ahead] - ticks[0]
    end = ticks[-1] + round(1 / (_rate(timing) * timing.time_base))
    early = [tick - lead for tick in ticks[:ahead]]
    decoded_at = [*early, *ticks[: len(ticks) - ahead], end - lead]
    with _open_container(path, format_, timing) as container:
        stream = None
        for begin, part in paths.items():
            packets = _packets_of(part, min(format_.part_frames, len(ticks) - begin))
            stream = stream or _add_copy(container, part, format_, timing)
            shown = sorted(packets, key=lambda packet: packet.pts or 0)
            stop = begin + len(packets)
            for packet, tick in zip(shown, ticks[begin:stop], strict=True):
                packet.pts = tick
            times = pairwise(decoded_at[begin : stop + 1])
            for packet, (tick, next_tick) in zip(packets, times, strict=True):
                packet.dts, packet.duration = tick, max(1, next_tick - tick)
                packet.stream, packet.time_base = stream, timing.time_base
                container.mux(packet)


def _packets_of(part: Path, count: int) -> list[Packet[VideoStream]]:
    """Return the packets of a part in decoding order; delete a part that has another number."""
    packets: list[Packet[VideoStream]] = []
    with suppress(av.error.FFmpegError, IndexError), av.open(part.absolute()) as container:
        packets += (packet for packet in container.demux(video=0) if packet.size)
    if len(packets) != count or any(packet.is_corrupt for packet in packets):
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{part} was damaged and has been removed; export again to write it again"
        )
    return packets


def _add_copy(
    container: OutputContainer, part: Path, format_: _Format, timing: Timing
) -> VideoStream:
    """Add a stream for the packets of parts, with the parameters of the one in ``part``."""
    with av.open(part.absolute()) as model:
        stream = container.add_stream_from_template(model.streams.video[0])
        stream.codec_context.codec_tag = model.streams.video[0].codec_context.codec_tag
    stream.codec_context.pix_fmt = format_.pixel_format  # WebM demuxing does not report alpha
    stream.codec_context.framerate = _rate(timing)
    stream.time_base = timing.time_base
    return stream


@contextmanager
def _open_container(path: Path, format_: _Format, timing: Timing) -> Iterator[OutputContainer]:
    options = _container_options(format_, timing)
    with replacing(path.absolute(), sync=True) as temporary:  # a relative a:b/… would be a URL
        try:
            with av.open(temporary, "w", format=format_.container, options=options) as container:
                yield container
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror) from error
            raise OutputError(f"cannot write {path}: {error}") from error


def _container_options(format_: _Format, timing: Timing) -> dict[str, str]:
    if format_.container == "webm":
        return {}
    return {"movflags": "faststart", "video_track_timescale": str(timing.time_base.denominator)}


def _add_stream(
    container: OutputContainer, format_: _Format, size: tuple[int, int], timing: Timing
) -> VideoStream:
    try:
        stream = container.add_stream(format_.codec, rate=_rate(timing), options=format_.options)
    except (av.error.FFmpegError, ValueError) as error:
        raise OutputError(
            f"this build of PyAV has no encoder {format_.codec}; install a build that has it"
        ) from error
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
    """Return frames per second as a fraction of small numbers, as rate control requires."""
    return max(timing.rate.limit_denominator(1001), Fraction(1, 1001))


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
