"""Draw a contact sheet: some frames of a video in one picture, with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from maskcast.core.arrays import Picture

GAP = 6
CAPTION = 20
PAPER = (24, 24, 27)
INK = (228, 228, 231)


def choose_frames(count: int, wanted: int = 12) -> list[int]:
    """Return evenly spaced frame indices of a video, including the first and the last frame.

    Args:
        count: number of frames of the video.
        wanted: maximum number of frames to choose.
    """
    if wanted <= 1 or count <= 1:
        return [0][:count]
    chosen = np.linspace(0, count - 1, min(wanted, count))
    return [round(float(position)) for position in chosen]


def draw_contact_sheet(
    tiles: Sequence[tuple[str, Picture]], *, columns: int = 4, tile_width: int = 320
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Arrange pictures in rows, each below its caption.

    Args:
        tiles: captions and pictures; all pictures have the same shape.
        columns: number of tiles per row.
        tile_width: width of a tile in pixels; its height keeps the aspect ratio.
    """
    height, width, _ = tiles[0][1].shape
    tile_height = max(1, round(tile_width * height / width))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    cell_width, cell_height = tile_width + GAP, tile_height + CAPTION + GAP
    sheet = Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + GAP), PAPER)
    canvas = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for index, (caption, picture) in enumerate(tiles):
        row, column = divmod(index, columns)
        x, y = GAP + column * cell_width, GAP + row * cell_height
        canvas.text((x + 2, y + CAPTION // 2), caption, fill=INK, font=font, anchor="lm")
        tile = Image.fromarray(picture).resize((tile_width, tile_height), Image.Resampling.LANCZOS)
        sheet.paste(tile, (x, y + CAPTION))
    return np.asarray(sheet)
