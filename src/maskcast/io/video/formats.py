"""The formats of video files that are written.

h264             .mp4    H.264, RGB pictures; plays everywhere
prores           .mov    ProRes 4444, RGB and straight alpha, 10 bits; for editing programs
prores_opaque    .mov    ProRes 4444 without alpha, 10 bits, RGB or grey pictures
vp9              .webm   VP9, RGB and straight alpha; for web pages
ffv1             .mkv    FFV1, grey in 16 bits, lossless
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

VideoKind: TypeAlias = Literal["h264", "prores", "prores_opaque", "vp9", "ffv1"]


@dataclass(frozen=True)
class VideoFormat:
    """How a kind of video is encoded, and in which container."""

    container: str
    suffix: str
    codec: str
    pixel_format: str
    options: dict[str, str]
    part_frames: int
    """Frames per part. A part begins with a key frame, and its packets are in memory at once."""
    channels: int = 3
    """Channels of the pictures: 1 (grey), 3 (RGB) or 4 (RGBA)."""
    even_sides: bool = False
    """Whether sides must be even, because colour is stored at half the resolution."""
    reordering: int = 0
    """Maximum number of frames by which the encoder may send a frame earlier than it is shown."""
    interlaced: dict[str, str] = field(default_factory=dict)
    """Options for frames that combine two moments; empty if the codec has no such frames."""
    full_range: bool = False
    """Whether black is 0 and white the largest number, instead of 16 and 235 of 255."""
    copied_sound: frozenset[str] = frozenset()
    """Audio codecs, as FFmpeg names them, that the container holds."""
    sound_codec: str = "aac"
    """Encoder for audio of other codecs."""


_IN_MP4 = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
_PCM = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le"})
_PRORES = VideoFormat(
    container="mov",
    suffix=".mov",
    codec="prores_ks",
    pixel_format="yuva444p10le",
    options={"profile": "4444", "alpha_bits": "16"},
    part_frames=25,
    channels=4,
    interlaced={"flags": "+ildct"},
    copied_sound=_IN_MP4 | _PCM,
    sound_codec="pcm_s16le",
)

FORMATS: dict[VideoKind, VideoFormat] = {
    "h264": VideoFormat(
        container="mp4",
        suffix=".mp4",
        codec="libx264",
        pixel_format="yuv420p",
        options={"crf": "18", "preset": "veryfast"},
        part_frames=150,
        even_sides=True,
        reordering=2,
        interlaced={"flags": "+ilme+ildct"},
        copied_sound=_IN_MP4,
    ),
    "prores": _PRORES,
    "prores_opaque": replace(
        _PRORES,
        pixel_format="yuv444p10le",
        options=_PRORES.options | {"alpha_bits": "0"},
        channels=3,
    ),
    "vp9": VideoFormat(
        container="webm",
        suffix=".webm",
        codec="libvpx-vp9",
        pixel_format="yuva420p",
        options={"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
        part_frames=50,
        channels=4,
        even_sides=True,
        copied_sound=frozenset({"opus", "vorbis"}),
        sound_codec="libopus",
    ),
    "ffv1": VideoFormat(
        container="matroska",
        suffix=".mkv",
        codec="ffv1",
        pixel_format="gray16le",
        options={"level": "3"},
        part_frames=50,
        channels=1,
        full_range=True,
        copied_sound=_IN_MP4 | _PCM | {"opus", "vorbis", "flac"},
        sound_codec="pcm_s16le",
    ),
}
