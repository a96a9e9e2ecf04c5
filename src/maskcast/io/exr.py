"""Write OpenEXR pictures with FFmpeg's encoder: RGBA in half floats, ZIP compression."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from jaxtyping import Float32

from maskcast.core.errors import OutputError
from maskcast.core.files import replacing


def write_exr(
    path: Path, rgba: Float32[np.ndarray, "height width 4"], *, pixel_aspect: Fraction = Fraction(1)
) -> None:
    """Write a picture.

    Args:
        path: the file.
        rgba: colours in linear light, and alpha.
        pixel_aspect: width of a pixel divided by its height.

    Raises:
        OutputError: the file cannot be written, or this build of PyAV has no EXR encoder.
    """
    try:
        content = _encoded(rgba, pixel_aspect)
    except (av.error.FFmpegError, ValueError) as error:
        raise OutputError(f"cannot write {path} with this build of PyAV: {error}") from error
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _encoded(rgba: Float32[np.ndarray, "height width 4"], pixel_aspect: Fraction) -> bytes:
    encoder = av.CodecContext.create("exr", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.height, encoder.width = rgba.shape[:2]
    encoder.pix_fmt = "gbrapf32le"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"compression": "zip16", "format": "half"}
    encoder.sample_aspect_ratio = pixel_aspect
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="gbrapf32le")
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
