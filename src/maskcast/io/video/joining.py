"""Join the parts of a video into one file, with sound, without encoding pictures again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from maskcast.core.errors import OutputError
from maskcast.core.files import replacing
from maskcast.core.progress import Progress
from maskcast.io.video.formats import VideoFormat
from maskcast.io.video.matroska import write_pixel_aspect
from maskcast.io.video.reader import Timing
from maskcast.io.video.sound import Sound, SoundTracks
from maskcast.io.video.tags import VideoTags

log = logging.getLogger(__name__)

_MATROSKA = ("webm", "matroska")


def join_parts(
    paths: Mapping[int, Path],
    path: Path,
    format_: VideoFormat,
    timing: Timing,
    *,
    tags: VideoTags,
    sound: Sound | None,
    progress: Progress | None,
) -> None:
    """Write the packets of all parts into one file, with the presentation times of ``timing``.

    If the encoder reorders frames, decoding times start earlier by a constant lead.

    Args:
        paths: the parts by the index of their first frame.
        path: the file.
        format_: format of the parts and of the file.
        timing: presentation times of all frames.
        tags: tags of the file; the parts have those of their pictures.
        sound: sound to add.
        progress: called with the number of frames written.

    Raises:
        OutputError: the file cannot be written, or a part is damaged and was removed.
    """
    decoded_at = _decoding_times(timing, format_)
    count = len(timing.ticks)
    with ExitStack() as stack:
        opened = opened_for_writing(path, format_, timing, pixel_aspect=tags.pixel_aspect)
        container = stack.enter_context(opened)
        if tags.timecode is not None:
            container.metadata["timecode"] = tags.timecode
        stream = _add_copy(container, paths[0], format_, timing, count=count)
        tracks = SoundTracks(sound, container, format_, stack) if sound is not None else None
        for begin, part in paths.items():
            packets = _packets_of(part, min(format_.part_frames, count - begin))
            shown = sorted(packets, key=lambda packet: packet.pts or 0)
            stop = begin + len(packets)
            for packet, tick in zip(shown, timing.ticks[begin:stop], strict=True):
                packet.pts = tick
            times = pairwise(decoded_at[begin : stop + 1])
            for packet, (tick, next_tick) in zip(packets, times, strict=True):
                if tracks is not None:
                    tracks.write_until(tick * timing.time_base)
                packet.dts, packet.duration = tick, max(1, next_tick - tick)
                packet.stream, packet.time_base = stream, timing.time_base
                container.mux(packet)
            if progress is not None:
                progress(f"joining {path.name}", stop, count)
        if tracks is not None:
            tracks.write_until(None)


def rate_of(timing: Timing) -> Fraction:
    """Return frames per second as a fraction of small numbers, as rate control requires."""
    return max(timing.rate.limit_denominator(1001), Fraction(1, 1001))


@contextmanager
def opened_for_writing(
    path: Path, format_: VideoFormat, timing: Timing, *, pixel_aspect: Fraction = Fraction(1)
) -> Iterator[OutputContainer]:
    """Open a file, which appears under its name when the block ends without an error.

    Args:
        path: the file.
        format_: its format.
        timing: presentation times of its frames.
        pixel_aspect: width of a pixel divided by its height, for WebM and Matroska; other formats
            take it from the stream.

    Raises:
        OutputError: the file cannot be written.
    """
    options = _container_options(format_, timing)
    with replacing(path.absolute(), sync=True) as temporary:  # a relative a:b/… would be a URL
        try:
            with av.open(temporary, "w", format=format_.container, options=options) as container:
                yield container
            is_shaped = pixel_aspect != 1 and format_.container in _MATROSKA
            if is_shaped and not write_pixel_aspect(Path(temporary), pixel_aspect):
                log.warning("%s has square pixels, unlike the source", path.name)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror) from error
            raise OutputError(f"cannot write {path}: {error}") from error


def _container_options(format_: VideoFormat, timing: Timing) -> dict[str, str]:
    if format_.container in _MATROSKA:
        return {"write_crc32": "0"}  # of headers, which the aspect ratio is added to
    return {"movflags": "faststart", "video_track_timescale": str(timing.time_base.denominator)}


def _decoding_times(timing: Timing, format_: VideoFormat) -> list[int]:
    """Return when each packet is decoded, in ticks, and when the last frame ends."""
    ticks = list(timing.ticks)
    ahead = min(format_.reordering, len(ticks) - 1)
    lead = ticks[ahead] - ticks[0]
    end = ticks[-1] + round(1 / (rate_of(timing) * timing.time_base))
    early = [tick - lead for tick in ticks[:ahead]]
    return [*early, *ticks[: len(ticks) - ahead], end - lead]


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
    container: OutputContainer, part: Path, format_: VideoFormat, timing: Timing, *, count: int
) -> VideoStream:
    """Add a stream for the packets of parts, with the parameters of the one in ``part``."""
    _packets_of(part, min(format_.part_frames, count))  # a damaged one is reported and removed
    with av.open(part.absolute()) as model:
        stream = container.add_stream_from_template(model.streams.video[0])
        stream.codec_context.codec_tag = model.streams.video[0].codec_context.codec_tag
        if aspect := model.streams.video[0].sample_aspect_ratio:
            stream.codec_context.sample_aspect_ratio = aspect
    stream.codec_context.pix_fmt = format_.pixel_format  # WebM demuxing does not report alpha
    stream.codec_context.framerate = rate_of(timing)
    stream.time_base = timing.time_base
    return stream
