"""Open a video file with PyAV, restricted to containers and protocols that are safe to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from maskcast.core.errors import DataError, VideoError
from maskcast.io.pictures import LARGEST_PICTURE, page_count
from maskcast.io.video.frame_folder import ENDINGS as PICTURE_ENDINGS
from maskcast.io.video.reader import log

CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,ivf,m4v,h264,hevc,mjpeg"
"""Allowed demuxers. Others are disabled, because playlists can make FFmpeg open any file or URL."""
_OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}


@contextmanager
def open_container(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and choose its first video stream.

    Raises:
        VideoError: the file is not a video, its codec is unknown, or its frames are too large.
    """
    try:
        container = _opened(path)
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(_why_not_opened(path)) from error
    with container:
        streams = [
            stream
            for stream in container.streams.video
            if not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            why = "it contains only audio" if container.streams.audio else "it has no video stream"
            raise VideoError(f"{path} is not a video: {why}")
        stream = streams[0] if len(streams) == 1 else _first_moving(path, streams)
        if stream.codec_context is None:
            raise VideoError(
                f"{path} uses a codec that this build of FFmpeg cannot decode; convert the video"
            )
        if stream.width * stream.height > LARGEST_PICTURE:
            raise VideoError(
                f"{path} declares frames of {stream.width}×{stream.height} pixels; "
                "rejected as a decompression bomb"
            )
        stream.codec_context.options = {"max_pixels": str(LARGEST_PICTURE)}
        stream.thread_type = "AUTO"
        yield container, stream


def _opened(path: Path) -> InputContainer:
    """Open a file by its absolute path, so that no part of a name is read as a protocol."""
    return av.open(path.absolute(), options=dict(_OPTIONS), metadata_errors="replace")


def _first_moving(path: Path, streams: Sequence[VideoStream]) -> VideoStream:
    """Return the first stream with more than one packet, which a still picture does not have."""
    counts = dict.fromkeys((stream.index for stream in streams), 0)
    with _opened(path) as container:
        chosen = [stream for stream in container.streams.video if stream.index in counts]
        with suppress(av.error.FFmpegError):
            for packet in container.demux(chosen):
                counts[packet.stream.index] += packet.size > 0
                if counts[streams[0].index] > 1:
                    break
    return next((stream for stream in streams if counts[stream.index] > 1), streams[0])


def _why_not_opened(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        return f"cannot open {path}: {error.strerror}"
    if not head:
        return f"{path} is empty"
    if path.suffix.lower() in (*PICTURE_ENDINGS, ".apng"):
        if (count := _pictures_in(path)) > 1:
            return (
                f"{path} is an animation of {count} pictures, which is not read; convert it to a "
                "video, or to a folder of frames"
            )
        return f"{path} is an image; give a video file, or the folder that contains the frames"
    if head[4:8] == b"ftyp" or head[8:12] == b"AVI " or head[:4] == b"\x1a\x45\xdf\xa3":
        return f"{path} is cut off or damaged: it starts like a video, but its header is incomplete"
    return f"{path} is not a supported video (mp4, mov, mkv, webm or avi)"


def _pictures_in(path: Path) -> int:
    """Return the number of pictures in a picture file; 0 if it cannot be read."""
    try:
        return page_count(path)
    except DataError:
        return 0


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of the stream, up to the point where a truncated file ends."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError as error:
        log.debug("the file is cut off: %s", error)


def whole_packets(
    packets: Iterable[Packet[VideoStream]],
) -> Iterator[Packet[VideoStream] | None]:
    """Yield the packets, with None instead of a last one that is marked as corrupt.

    A truncated file ends in such a packet. Others of that mark are not damaged: recorders set it
    where two files were joined.
    """
    held: Packet[VideoStream] | None = None
    for packet in packets:
        if held is not None:
            yield held
        held = packet if packet.is_corrupt else None
        if held is None:
            yield packet
    if held is not None:
        yield None


def decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield decoded frames in the decoder's order; packets that cannot be decoded are skipped.

    So is the last one of a truncated file; see ``whole_packets``.
    """
    for packet in filter(None, whole_packets(packets_of(container, stream))):
        try:
            yield from packet.decode()
        except av.error.FFmpegError as error:
            log.debug("packet at %s: %s", packet.pts, error)
    try:
        yield from stream.codec_context.decode(None)
    except av.error.FFmpegError as error:
        log.debug("at the end: %s", error)
