"""The sound of a video, copied into an exported file, or encoded again.

A container holds some codecs only: sound of others is encoded again (``VideoFormat.sound_codec``).
Sound that cannot be read is left out with a warning; it never stops an export.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from maskcast.core.errors import VideoError
from maskcast.io.video.container import open_container
from maskcast.io.video.formats import VideoFormat
from maskcast.io.video.reader import log

_RATES = {"libopus": 48000}
"""Sampling rates that encoders require; others keep that of the source."""
_HIGHEST_RATE = 96000
_STEREO_ONLY = ("libopus", "aac")
"""Encoders that get at most two channels."""


@dataclass(frozen=True)
class Sound:
    """A part of the sound of a video file."""

    path: Path
    begin: Fraction
    """Time in the file at which the part begins, in seconds."""
    seconds: Fraction
    """Duration of the part."""


def has_sound(path: Path) -> bool:
    """Return whether a video file has sound that can be decoded. Raises ``VideoError``."""
    with open_container(path) as (container, _):
        return bool(_readable(container))


def _readable(container: InputContainer) -> list[AudioStream]:
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


class SoundTracks:
    """All audio tracks of a video, written to a container in the order of their times."""

    def __init__(
        self, sound: Sound, output: OutputContainer, format_: VideoFormat, stack: ExitStack
    ) -> None:
        """Add the tracks to a container, before anything is written to it.

        Args:
            sound: the part of the sound to write.
            output: the container to write to.
            format_: its format, which says which codecs it holds.
            stack: closes the source.
        """
        self._sound = sound
        self._output = output
        self._tracks: dict[int, _Track] = {}
        try:
            source, _ = stack.enter_context(open_container(sound.path))
            for stream in _readable(source):
                self._tracks[stream.index] = _track(stream, output, format_)
            self._packets = self._shifted(source)
        except (av.error.FFmpegError, ValueError, VideoError) as error:
            self._leave_out(error)
            self._packets = iter(())
        self._next = next(self._packets, None)

    def write_until(self, seconds: Fraction | None) -> None:
        """Write the packets up to a time, or all that are left."""
        while self._next is not None and (seconds is None or self._next[0] <= seconds):
            self._output.mux(self._next[1])
            self._next = next(self._packets, None)

    def _shifted(self, source: InputContainer) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        """Yield packets, and when they are heard, in seconds from the beginning of the part."""
        tracks = self._tracks
        try:
            for packet in source.demux([track.source for track in tracks.values()]):
                heard = cast("Packet[AudioStream]", packet)
                yield from tracks[packet.stream.index].written(heard, self._sound)
        except (av.error.FFmpegError, ValueError) as error:
            self._leave_out(error)

    def _leave_out(self, error: Exception) -> None:
        log.warning("%s: cannot read its sound (%s); the rest is left out", self._sound.path, error)


def _track(source: AudioStream, output: OutputContainer, format_: VideoFormat) -> _Track:
    name = source.codec_context.name
    if name in format_.copied_sound:
        return _CopiedTrack(source, output.add_stream_from_template(source))
    encoder = format_.sound_codec
    rate = _RATES.get(encoder) or min(source.codec_context.sample_rate, _HIGHEST_RATE)
    layout = source.codec_context.layout.name
    if encoder in _STEREO_ONLY and source.codec_context.layout.nb_channels > 2:
        layout = "stereo"
    target = output.add_stream(encoder, rate=rate, layout=layout)
    assert isinstance(target, AudioStream)
    log.info("sound in %s is encoded again with %s", name, encoder)
    return _EncodedTrack(source, target)


class _Track:
    """One audio track: packets of the source come in, packets of the file to write go out."""

    def __init__(self, source: AudioStream, target: AudioStream) -> None:
        self.source = source
        self.target = target

    def written(
        self, packet: Packet[AudioStream], sound: Sound
    ) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        raise NotImplementedError


class _CopiedTrack(_Track):
    def written(
        self, packet: Packet[AudioStream], sound: Sound
    ) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        """Pass on a packet that is heard in the part; the one that begins before it is trimmed."""
        if packet.pts is None or packet.time_base is None or not packet.size:
            return
        shift = round(sound.begin / packet.time_base)
        heard = (packet.pts - shift) * packet.time_base
        if heard + (packet.duration or 0) * packet.time_base < 0 or heard >= sound.seconds:
            return
        packet.pts -= shift
        packet.dts = packet.pts
        packet.stream = self.target
        yield heard, packet


class _EncodedTrack(_Track):
    def written(
        self, packet: Packet[AudioStream], sound: Sound
    ) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        """Encode what is heard in the part; the last, empty packet flushes the encoder."""
        for frame in _decoded(packet):
            if frame.pts is None or frame.time_base is None:
                continue
            heard = _trimmed(frame, frame.pts * frame.time_base - sound.begin, sound.seconds)
            if heard is not None:
                yield from self._timed(self.target.encode(heard))
        if not packet.size:
            yield from self._timed(self.target.encode(None))

    def _timed(
        self, packets: Sequence[Packet[AudioStream]]
    ) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        for packet in packets:
            packet.stream = self.target
            time_base = packet.time_base or Fraction(1, self.target.codec_context.sample_rate)
            yield (packet.dts or 0) * time_base, packet


def _trimmed(frame: av.AudioFrame, heard: Fraction, seconds: Fraction) -> av.AudioFrame | None:
    """Return the samples of a frame that are heard in the part; None if there are none.

    Args:
        frame: decoded sound.
        heard: when its first sample is heard, in seconds from the beginning of the part.
        seconds: duration of the part.
    """
    rate = frame.sample_rate
    first = max(0, round(-heard * rate))
    last = min(frame.samples, round((seconds - heard) * rate))
    if first >= last:
        return None
    width = 1 if frame.format.is_planar else frame.layout.nb_channels
    samples: Any = np.ascontiguousarray(frame.to_ndarray()[:, first * width : last * width])
    part = av.AudioFrame.from_ndarray(samples, format=frame.format.name, layout=frame.layout.name)
    part.sample_rate, part.time_base = rate, Fraction(1, rate)
    part.pts = round(heard * rate) + first
    return part


def _decoded(packet: Packet[AudioStream]) -> Sequence[av.AudioFrame]:
    try:
        return packet.decode()
    except av.error.FFmpegError as error:  # a damaged packet is a gap in the sound
        log.debug("sound at %s: %s", packet.pts, error)
        return ()
