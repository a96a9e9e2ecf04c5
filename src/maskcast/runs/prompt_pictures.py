"""Write the masks that a run will start from, before anything is tracked.

    exports/prompts-<frame>.png   label map of the masks and boxes of a frame
    exports/prompts-sheet.png     the same, painted over the frames

A box is shown with a preview of its mask. The run makes its own mask of it, which may differ where
several objects meet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.files import path_inside, replacing
from maskcast.core.progress import Progress
from maskcast.core.segmenter import BuiltSegmenter
from maskcast.core.types import Absent, Box, Mask, Prompts, to_frame
from maskcast.io.label_maps import write_label_map
from maskcast.io.video.source import FrameSource
from maskcast.runs.export_record import PROMPTS
from maskcast.runs.objects import ObjectLook, colours_of, names_of
from maskcast.runs.removal import remove
from maskcast.viz.contact_sheet import choose_frames, draw_contact_sheet
from maskcast.viz.overlay import draw_overlay

MasksAndBoxes: TypeAlias = dict[int, Mask | Box]
"""Masks and boxes of one frame by object id."""

MOST_TILES = 40
"""Largest number of frames on the sheet; of more frames, evenly spaced ones are shown."""
FEW_TILES = 4
"""Largest number of frames that the sheet shows large, so that edges can be judged."""
LARGEST_TILE = 640
"""Width in pixels of the pictures on the sheet."""
BOX, BOX_OUTLINE = (255, 255, 255), (0, 0, 0)
"""Colours of the line and the outline of a box."""


def write_prompt_pictures(
    folder: Path,
    frames: FrameSource,
    prompts: Mapping[int, Prompts],
    *,
    build: Callable[[], BuiltSegmenter],
    looks: Mapping[int, ObjectLook],
    progress: Progress | None = None,
) -> list[Path]:
    """Write the label map of every frame with masks or boxes, and a sheet of these frames.

    Earlier files of this kind are deleted.

    Args:
        folder: the folder of exports.
        frames: the video.
        prompts: masks, boxes and absences by frame index.
        build: builds the segmenter, for the masks of boxes; it is called at the first box.
        looks: names and colours of objects by id.
        progress: called after every frame.

    Returns:
        the paths of the label maps in the order of their frames, and that of the sheet.

    Raises:
        FrameError, DataError: a frame or the weights cannot be read.
        OutputError: a file cannot be written.
    """
    shown = _shown(prompts)
    for old in folder.glob(PROMPTS):
        remove(old)
    on_sheet = {list(shown)[index] for index in choose_frames(len(shown), MOST_TILES)}
    build = cache(build)
    paths: list[Path] = []
    tiles: list[tuple[str, Picture]] = []
    for done, (frame_index, here) in enumerate(shown.items(), 1):
        picture, name = frames.picture(frame_index), frames.names[frame_index]
        label_map = _label_map(picture, here, build)
        paths.append(path_inside(folder, f"prompts-{name}", ".png"))
        write_label_map(paths[-1], label_map)
        if frame_index in on_sheet:
            tiles.append((_caption(name, here), _tile(picture, label_map, here, looks)))
        if progress is not None:
            progress("prompts", done, len(shown))
    sheet = folder / f"{_free_name(paths)}.png"
    columns, width = (2, LARGEST_TILE) if len(tiles) <= FEW_TILES else (4, LARGEST_TILE // 2)
    with replacing(sheet) as temporary:
        drawn = draw_contact_sheet(tiles, columns=columns, tile_width=width)
        Image.fromarray(drawn).save(temporary)
    return [*paths, sheet]


def _shown(prompts: Mapping[int, Prompts]) -> dict[int, MasksAndBoxes]:
    """Return the masks and boxes of the frames that have some, in the order of the frames."""
    shown: dict[int, MasksAndBoxes] = {}
    for frame_index, here in sorted(prompts.items()):
        if marks := {i: mark for i, mark in here.items() if not isinstance(mark, Absent)}:
            shown[frame_index] = marks
    return shown


def _boxes(prompts: MasksAndBoxes) -> list[Box]:
    return [prompt for prompt in prompts.values() if isinstance(prompt, Box)]


def _label_map(
    picture: Picture, prompts: MasksAndBoxes, build: Callable[[], BuiltSegmenter]
) -> LabelArray:
    """Return the ids of the masks of one frame; boxes are segmented on this frame alone."""
    if _boxes(prompts):
        segmenter = build().segmenter
        _, masks = segmenter.step(segmenter.start(), to_frame(picture), prompts)
        return masks.label_map().cpu().numpy().astype(np.int32)
    label_map = np.zeros(picture.shape[:2], dtype=np.int32)
    for object_id, mask in prompts.items():
        if not isinstance(mask, Box):
            label_map[mask.cpu().numpy()] = object_id
    return label_map


def _caption(name: str, ids: Collection[int]) -> str:
    return f"{name}: {'object' if len(ids) == 1 else 'objects'} {', '.join(map(str, sorted(ids)))}"


def _tile(
    picture: Picture,
    label_map: LabelArray,
    prompts: MasksAndBoxes,
    looks: Mapping[int, ObjectLook],
) -> Picture:
    painted = draw_overlay(picture, label_map, colours=colours_of(looks), names=names_of(looks))
    tile = Image.fromarray(_with_boxes(painted, _boxes(prompts)))
    tile.thumbnail((LARGEST_TILE, LARGEST_TILE * 4))
    return np.asarray(tile)


def _with_boxes(picture: Picture, boxes: Sequence[Box]) -> Picture:
    image = Image.fromarray(picture)
    canvas = ImageDraw.Draw(image)
    thickness = max(1, round(min(picture.shape[:2]) / 240))
    for box in boxes:
        corners = [box.x, box.y, box.x + box.width - 1, box.y + box.height - 1]
        canvas.rectangle(corners, outline=BOX_OUTLINE, width=3 * thickness)
        inner = [*(side + thickness for side in corners[:2]), *(s - thickness for s in corners[2:])]
        if inner[0] <= inner[2] and inner[1] <= inner[3]:
            canvas.rectangle(inner, outline=BOX, width=thickness)
    return np.asarray(image)


def _free_name(paths: Sequence[Path]) -> str:
    """Return a name for the sheet that no frame has."""
    name = "prompts-sheet"
    while name in {path.stem for path in paths}:
        name += "-"
    return name
