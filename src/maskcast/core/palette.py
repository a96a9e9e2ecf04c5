"""One colour per object id: one palette for label maps, another one for what people look at.

The first 22 colours are those of DAVIS. DAVIS continues with near-black greys; this palette instead
continues the rule behind the first colours, so that object 30 is distinguishable from object 31.
"""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0..255."""


def _bit_colour(index: int) -> Colour:
    """Return a colour of the VOC palette: the lowest three bits become the channels' top bits."""
    channels = [0, 0, 0]
    for shift in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * shift + channel) & 1) << (7 - shift)
    red, green, blue = (191 if value == 192 else value for value in channels)  # as in DAVIS
    return red, green, blue


PALETTE: tuple[Colour, ...] = tuple(_bit_colour(index) for index in range(256))
"""Colour of each value of an 8-bit label map; 0 is the background."""

DAVIS_COLOURS = 22
"""Number of palette colours shared with DAVIS."""


SHOWN: tuple[Colour, ...] = (
    (0x56, 0xB4, 0xE9),
    (0xD5, 0x5E, 0x00),
    (0xF0, 0xE4, 0x42),
    (0x00, 0x72, 0xB2),
    (0xCC, 0x79, 0xA7),
    (0x00, 0x9E, 0x73),
    (0xE6, 0x9F, 0x00),
)
"""Colours of objects in overlays and in the browser application: those of Okabe and Ito, which
colour-blind people can tell apart, ordered so that the first ones differ most."""


def shown_colour_of(object_id: int) -> Colour:
    """Return the colour of an object in overlays; ids above 7 take the colours in turn."""
    return SHOWN[(object_id - 1) % len(SHOWN)]


def hatching_of(object_id: int) -> int:
    """Return how often an object's area is hatched, 0 to 2, since colours are taken in turn."""
    return (object_id - 1) // len(SHOWN) % 3


def colour_of(object_id: int) -> Colour:
    """Return the colour of an object in label maps; ids above 255 take those of 1..255 in turn."""
    return PALETTE[0] if object_id == 0 else PALETTE[(object_id - 1) % 255 + 1]


def colour_in_hex(text: str) -> Colour:
    """Return the colour that ``#rrggbb`` stands for."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def palette_bytes() -> bytes:
    """Return the palette as an indexed PNG stores it: 256 × 3 bytes."""
    return bytes(value for colour in PALETTE for value in colour)
