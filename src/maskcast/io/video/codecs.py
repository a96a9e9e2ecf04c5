"""Say which video codecs the installed FFmpeg libraries have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from av.codec.codec import Codec, UnknownCodecError

from maskcast.io.video.formats import FORMATS

COMMON = ("h264", "hevc", "vp9", "av1", "prores", "mpeg4", "mjpeg")
"""Codecs of most videos from cameras, phones, editing programs and the web."""


def decoders() -> Mapping[str, bool]:
    """Return for each common codec whether videos in it can be read."""
    return {name: _exists(name, "r") for name in COMMON}


def encoders() -> Mapping[str, bool]:
    """Return for each codec of the exports whether it can be written."""
    return {form.codec: _exists(form.codec, "w") for form in FORMATS.values()}


def _exists(name: str, mode: Literal["r", "w"]) -> bool:
    try:
        Codec(name, mode)
    except UnknownCodecError:
        return False
    return True
