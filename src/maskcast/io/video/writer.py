"""Write video files with given presentation times.

A video is encoded in parts, each with a new encoder into its own file, which is written atomically.
At the end the packets of all parts are joined without re-encoding. After an interruption, writing
continues after the finished parts. ``formats`` lists the kinds of files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8, UInt16

from maskcast.core.errors import OutputError
from maskcast.core.progress import Progress
from maskcast.io.video.formats import FORMATS, VideoFormat, VideoKind
from maskcast.io.video.joining import join_parts, opened_for_writing, rate_of
from maskcast.io.video.reader import Timing
from maskcast.io.video.sound import Sound
from maskcast.io.video.tags import VideoTags

AnyPicture: TypeAlias = (
    UInt8[np.ndarray, "height width channels"] | UInt16[np.ndarray, "height width"]
)
"""RGB or RGBA in 8 bits, or grey in 16."""
WriteFrame: TypeAlias = Callable[[AnyPicture], None]
"""A function that writes the next picture: RGB or grey, or RGBA for the kinds with alpha."""
_LAYOUTS = {3: "rgb24", 4: "rgba"}
PLAIN = VideoTags()
"""The tags of videos that are made from pictures."""


@contextmanager
def open_video_writer(
    path: Path,
    kind: VideoKind,
    *,
    size: tuple[int, int],
    timing: Timing,
    parts: Path,
    tags: VideoTags = PLAIN,
    sound: Sound | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, WriteFrame]]:
    """Yield the index of the first frame to write, and a function that writes the next frame.

    From that index on, every frame of ``timing`` must be written. The file appears when the block
    ends without an error. If the format needs even sides, odd ones are padded by repeating the last
    row or column.

    Args:
        path: the file; it should have the suffix of its format.
        kind: format of the video.
        size: height and width of the pictures in pixels.
        timing: presentation times; written in their own time base (WebM, MKV: in milliseconds).
        parts: folder for the parts, which together are as large as the file. A later call with the
            same arguments continues after them. The caller deletes the folder when the file is
            complete or the pictures change.
        tags: pixel shape, colours, field order and timecode to write.
        sound: sound to add; its first sample is heard when the first frame is shown.
        progress: called while the parts are joined, with the number of frames.

    Raises:
        OutputError: the file cannot be written, or this build of PyAV lacks the encoder.
    """
    format_ = FORMATS[kind]
    folder = parts / _fingerprint(format_, size, timing, tags)
    begins = range(0, len(timing.ticks), format_.part_frames)
    paths = {begin: folder / f"{begin:08d}{path.suffix}" for begin in begins}
    first = next((begin for begin in begins if not paths[begin].is_file()), len(timing.ticks))
    missing = {begin: part for begin, part in paths.items() if begin >= first}
    with closing(_write_parts(missing, format_, size, timing, tags)) as writing:
        next(writing)
        yield first, writing.send
    join_parts(paths, path, format_, timing, tags=tags, sound=sound, progress=progress)


def _fingerprint(
    format_: VideoFormat, size: tuple[int, int], timing: Timing, tags: VideoTags
) -> str:
    """Return a name for everything that parts must have in common to be joined."""
    encoder = (format_.codec, format_.pixel_format, format_.options, format_.interlaced)
    times = (timing.time_base, tuple(timing.ticks))
    common = (encoder, format_.part_frames, size, times, tags, av.library_versions)
    return hashlib.sha256(repr(common).encode()).hexdigest()[:16]


def _write_parts(
    paths: Mapping[int, Path],
    format_: VideoFormat,
    size: tuple[int, int],
    timing: Timing,
    tags: VideoTags,
) -> Generator[None, AnyPicture, None]:
    """Receive pictures one by one, and write the parts; ``paths`` has them by first frame index."""
    converter = VideoReformatter()  # shared, because a new one per frame would start threads
    for begin, path in paths.items():
        ticks = timing.ticks[begin : begin + format_.part_frames]
        with opened_for_writing(path, format_, timing) as container:
            stream = _add_stream(container, format_, size, timing, tags)
            for tick in ticks:
                frame = _to_frame((yield), format_, converter)
                frame.pts, frame.time_base = tick - ticks[0], timing.time_base
                frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    yield


def _add_stream(
    container: av.container.OutputContainer,
    format_: VideoFormat,
    size: tuple[int, int],
    timing: Timing,
    tags: VideoTags,
) -> VideoStream:
    options = dict(format_.options)
    if tags.field_order != "progressive" and format_.interlaced:
        options |= {**format_.interlaced, "field_order": tags.field_order}
        if format_.codec == "libx264":
            options["x264-params"] = "tff=1" if tags.field_order == "tt" else "bff=1"
    try:
        stream = container.add_stream(format_.codec, rate=rate_of(timing), options=options)
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
    stream.codec_context.color_range = _range(format_)
    stream.codec_context.color_primaries = tags.primaries
    stream.codec_context.color_trc = tags.transfer
    if tags.pixel_aspect != 1:
        stream.codec_context.sample_aspect_ratio = tags.pixel_aspect
    return stream


def _range(format_: VideoFormat) -> ColorRange:
    return ColorRange.JPEG if format_.full_range else ColorRange.MPEG


def _to_frame(picture: AnyPicture, format_: VideoFormat, converter: VideoReformatter) -> VideoFrame:
    height, width = picture.shape[:2]
    if format_.even_sides and (height & 1 or width & 1):
        sides = ((0, height & 1), (0, width & 1), (0, 0))
        picture = np.pad(picture, sides[: picture.ndim], mode="edge")
    layout = "gray16le" if picture.ndim == 2 else _LAYOUTS[picture.shape[2]]
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=layout)
    if layout == format_.pixel_format:
        return frame
    return converter.reformat(
        frame,
        format=format_.pixel_format,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=_range(format_),
    )
