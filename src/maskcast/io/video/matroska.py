"""Write the pixel aspect ratio into a finished WebM or Matroska file.

The header of a video track has it as the display size, in two elements (RFC 9559, section
5.1.4.1.28). FFmpeg writes them only for a property of the stream that PyAV cannot set. It leaves a
gap, an element ``Void``, between the list of the parts of the file (``SeekHead``) and its headers.
The headers grow into the gap, so that nothing after them moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

_SEGMENT, _SEEK_HEAD, _VOID = 0x18538067, 0x114D9B74, 0xEC
_INFO, _TRACKS, _TRACK, _VIDEO = 0x1549A966, 0x1654AE6B, 0xAE, 0xE0
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_WIDTH, _HEIGHT = 0xB0, 0xBA
_SHOWN_WIDTH, _SHOWN_HEIGHT, _SHOWN_UNIT = 0x54B0, 0x54BA, 0x54B2
_LONGEST_HEADER = 1 << 20
"""Bytes at the beginning of a file in which its headers are."""


@dataclass(frozen=True)
class _Element:
    """An element: ``data[begin:end]``, of which ``data[content:end]`` is the content."""

    kind: int
    begin: int
    content: int
    end: int


def write_pixel_aspect(path: Path, aspect: Fraction) -> bool:
    """Write a pixel aspect ratio into a file without checksums; return whether it was possible.

    Args:
        path: a file that FFmpeg has written with ``write_crc32=0``.
        aspect: width of a pixel divided by its height.
    """
    with path.open("r+b") as file:
        data = file.read(_LONGEST_HEADER)
        changed = _with_aspect(data, aspect)
        if changed is None:
            return False
        file.seek(0)
        file.write(changed)
    return True


def _with_aspect(data: bytes, aspect: Fraction) -> bytes | None:
    """Return the beginning of a file with this aspect ratio; None if its structure is unknown."""
    segment = next((one for one in _elements(data, 0, len(data)) if one.kind == _SEGMENT), None)
    if segment is None:
        return None
    parts = list(_elements(data, segment.content, len(data)))[:4]
    if [part.kind for part in parts] != [_SEEK_HEAD, _VOID, _INFO, _TRACKS]:
        return None
    seek_head, void, info, tracks = parts
    if tracks.end > len(data):
        return None
    shaped = _shaped(data, tracks, aspect)
    growth = len(shaped) - (tracks.end - tracks.begin)
    gap = void.end - void.begin - growth - 9
    if gap < 0:
        return None
    return b"".join([
        data[: seek_head.begin],
        _moved(data, seek_head, growth),
        bytes([_VOID, 1]) + gap.to_bytes(7, "big") + bytes(gap),
        data[info.begin : info.end],
        shaped,
        data[tracks.end :],
    ])  # fmt: skip


def _shaped(data: bytes, element: _Element, aspect: Fraction) -> bytes:
    """Return the headers of tracks with this aspect ratio for videos."""
    if element.kind not in (_TRACKS, _TRACK, _VIDEO):
        return data[element.begin : element.end]
    children = list(_elements(data, element.content, element.end))
    if element.kind == _VIDEO:
        sides = {one.kind: _number(data, one) for one in children}
        width, height = round(sides[_WIDTH] * aspect), sides[_HEIGHT]
        replaced = (_SHOWN_WIDTH, _SHOWN_HEIGHT, _SHOWN_UNIT)  # FFmpeg may say "unknown" there
        kept = [one for one in children if one.kind not in replaced]
        content = b"".join(data[one.begin : one.end] for one in kept)
        content += _element(_SHOWN_WIDTH, width.to_bytes(4, "big"))
        content += _element(_SHOWN_HEIGHT, height.to_bytes(4, "big"))
    else:
        content = b"".join(_shaped(data, child, aspect) for child in children)
    return _element(element.kind, content)


def _moved(data: bytes, seek_head: _Element, growth: int) -> bytes:
    """Return the list of the parts, of which those before the end of the tracks begin earlier."""
    changed = bytearray(data[seek_head.begin : seek_head.end])
    for seek in _elements(data, seek_head.content, seek_head.end):
        entry = {one.kind: one for one in _elements(data, seek.content, seek.end)}
        if seek.kind == _SEEK and _number(data, entry[_SEEK_ID]) in (_INFO, _TRACKS):
            position = entry[_SEEK_POSITION]
            size = position.end - position.content
            number = (_number(data, position) - growth).to_bytes(size, "big")
            begin = position.content - seek_head.begin
            changed[begin : begin + size] = number
    return bytes(changed)


def _elements(data: bytes, begin: int, end: int) -> Iterator[_Element]:
    while begin < end:
        if data[begin] == 0:
            return
        kind_length = 9 - data[begin].bit_length()
        kind = int.from_bytes(data[begin : begin + kind_length], "big")
        at = begin + kind_length
        if at >= end or data[at] == 0:
            return
        length = 9 - data[at].bit_length()
        content = at + length
        size = int.from_bytes(data[at:content], "big") & ((1 << 7 * length) - 1)
        yield _Element(kind, begin, content, content + size)
        begin = content + size


def _element(kind: int, content: bytes) -> bytes:
    """Return an element; its size takes 8 bytes if it is not short."""
    size = bytes([0x80 | len(content)]) if len(content) < 127 else b""
    header = size or b"\x01" + len(content).to_bytes(7, "big")
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + header + content


def _number(data: bytes, element: _Element) -> int:
    return int.from_bytes(data[element.content : element.end], "big")
