"""Clips with objects that leave and return, in groups.

rendered    the rendered half of the hold-out: many objects, copies
sliding     DAVIS training sequences under a window that slides off the object and back
synthetic   rendered by this package from seeds: object 1 leaves or is hidden, and returns
real        DAVIS training sequences whose object is always visible
demo        the clip of ``maskcast demo``, whose objects are always visible
videos      dog (absent on frames 72 to 101) and juggle (always visible), judged by eye
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.types import Box, Mask
from maskcast.data.dataset import VOID, Video
from maskcast.data.hold_out_names import DAVIS16_HOLD_OUT, SMALL_HOLD_OUT_RENDERED
from maskcast.data.hold_outs import find_clips
from maskcast.data.readers.clip_folder import read_clip_folder
from maskcast.data.synthetic.absences import Absence
from maskcast.data.synthetic.clips import SyntheticClip, make_clip
from maskcast.data.synthetic.demo import make_demo_clip
from maskcast.io.video.source import open_frames

COPIES: Mapping[str, Sequence[Sequence[int]]] = {
    "render_all_003": ((1, 2, 3), (5, 6)),
    "render_all_064": ((3, 4, 5),),
    "render_all_067": ((2, 3, 4), (5, 6)),
    "render_all_069": ((5, 6), (3, 4)),
    "render_all_092": ((1, 2), (5, 6)),
    "render_all_102": ((2, 3, 4), (5, 6)),
    "render_ycb_003": ((3, 4), (5, 6)),
    "render_ycb_015": ((1, 3, 4),),
}
"""Ids of copies in the rendered clips, as in docs/data.md."""
SLIDING = ("lucia", "hockey", "scooter-gray", "horsejump-low", "car-turn")
SLIDING_FRAMES = 48
WIDTHS = (0.35, 0.6)
"""Least and greatest width of the window, over that of the picture."""
AWAY = (0.4, 0.65)
"""When the window is off the object, over the length of the clip."""
SLIDE_FRAMES = 6
"""Frames that the window takes from the object to the side, and back."""
SYNTHETIC_SEEDS = 1_000_000
"""First seed of the synthetic clips."""
SYNTHETIC_CLIPS = 6
DOG_FRAMES = 126


@dataclass(frozen=True)
class Clip:
    """A video with first masks or boxes, and what is true."""

    name: str
    group: str
    shots: Callable[[], Iterator[tuple[Picture, LabelArray | None]]]
    """Frames with their label maps; None where the truth is known by eye only."""
    boxes: Mapping[int, Box] = field(default_factory=dict)
    """First boxes by object id; empty: the first label map gives the masks."""
    absent: Mapping[int, range] = field(default_factory=dict)
    """Frames on which an object is absent, by eye."""
    copies: Sequence[Sequence[int]] = ()
    """Ids of objects that are copies of each other."""

    def cut(self, frames: int | None) -> Clip:
        """Return the first frames only."""
        if frames is None:
            return self
        return replace(self, shots=lambda: islice(self.shots(), frames))

    def copies_of(self, object_id: int) -> list[int]:
        """Return the ids of an object's copies."""
        groups = [group for group in self.copies if object_id in group]
        return [other for group in groups for other in group if other != object_id]


def masks_of(label_map: LabelArray, ids: Sequence[int]) -> dict[int, Mask]:
    """Return the masks of these objects that are not empty."""
    masks = {object_id: torch.from_numpy(label_map == object_id) for object_id in ids}
    return {object_id: mask for object_id, mask in masks.items() if mask.any()}


def rendered(data: Path) -> list[Clip]:
    """Return the rendered half of the hold-out."""
    videos = _videos(data, SMALL_HOLD_OUT_RENDERED)
    return [_as_clip(video, "rendered", COPIES[video.name]) for video in videos]


def real(data: Path) -> list[Clip]:
    """Return real sequences whose object is always visible."""
    return [_as_clip(video, "real") for video in _videos(data, DAVIS16_HOLD_OUT)]


def sliding(data: Path) -> list[Clip]:
    """Return real sequences under a window that slides off the object and back."""
    return [_as_sliding(video) for video in _videos(data, SLIDING)]


def synthetic(count: int = SYNTHETIC_CLIPS, *, frames: int = 24) -> list[Clip]:
    """Return synthetic clips whose object 1 is absent on a sixth of the frames or more."""
    times = (0.25 * frames, 0.4 * frames, 0.65 * frames, 0.8 * frames)
    return [
        Clip(
            f"synthetic_{seed}",
            "synthetic",
            _shots_of(
                lambda seed=seed: make_clip(  # type: ignore[misc]
                    seed, frames=frames, objects=(1, 2), absence=Absence(*times)
                )
            ),
        )
        for seed in range(SYNTHETIC_SEEDS, SYNTHETIC_SEEDS + count)
    ]


def demo() -> list[Clip]:
    """Return the clip of ``maskcast demo``."""
    return [Clip("demo", "demo", _shots_of(make_demo_clip))]


def videos(folder: Path) -> list[Clip]:
    """Return real videos without masks."""
    return [
        Clip(
            "dog",
            "videos",
            lambda: islice(_without_truth(folder / "dog.mp4"), DOG_FRAMES),
            boxes={1: Box(450, 380, 252, 168)},
            absent={1: range(72, 102)},
        ),
        Clip(
            "juggle",
            "videos",
            lambda: _without_truth(folder / "juggle.mp4"),
            boxes={1: Box(614, 284, 79, 77), 2: Box(600, 47, 234, 625)},
        ),
    ]


GROUPS = ("rendered", "sliding", "synthetic", "real", "demo", "videos")


def clips_of(groups: Sequence[str], data: Path | None, folder: Path | None) -> list[Clip]:
    """Return the clips of some groups.

    Args:
        groups: names from ``GROUPS``.
        data: folder with the unpacked training archives; for rendered, sliding and real clips.
        folder: folder with ``dog.mp4`` and ``juggle.mp4``.

    Raises:
        ValueError: a group needs a folder that is not given.
    """
    made: dict[str, Callable[[], list[Clip]]] = {"synthetic": synthetic, "demo": demo}
    if data is not None:
        made |= {
            "rendered": lambda: rendered(data),
            "sliding": lambda: sliding(data),
            "real": lambda: real(data),
        }
    if folder is not None:
        made["videos"] = lambda: videos(folder)
    if missing := [group for group in groups if group not in made]:
        raise ValueError(f"clips of {', '.join(missing)} need the folder of the data")
    return [clip for group in groups for clip in made[group]()]


def window_over(masks: NDArray[np.bool_]) -> tuple[int, list[int]]:
    """Plan a window that shows the object, slides off it to the roomier side, and comes back.

    Args:
        masks: frames × height × width, of one object.

    Returns:
        width of the window, and its left edge on each frame.
    """
    count, _, width = masks.shape
    columns = np.asarray(masks.any(axis=1))
    first, last = (round(share * count) for share in AWAY)
    shown = np.asarray(columns[first : last + 1].any(axis=0))
    left_room, right_room = int(np.argmax(shown)), int(np.argmax(shown[::-1]))
    room = max(left_room, right_room)
    window = int(np.clip(room, *(share * width for share in WIDTHS)))
    off = 0 if left_room >= right_room else width - window
    edges, on = [], 0
    for frame, row in enumerate(columns):
        if row.any():
            centre = float(np.flatnonzero(row).mean())
            on = int(np.clip(round(centre - window / 2), 0, width - window))
        distance = max(first - frame, frame - last, 0)
        share_off = max(0.0, 1 - distance / SLIDE_FRAMES)
        edges.append(round((1 - share_off) * on + share_off * off))
    return window, edges


def _as_sliding(video: Video) -> Clip:
    def shots() -> Iterator[tuple[Picture, LabelArray | None]]:
        frames = range(min(SLIDING_FRAMES, video.frame_count))
        maps = [_label_map(video, frame) for frame in frames]
        width, edges = window_over(np.stack(maps) == 1)
        for frame, label_map, left in zip(frames, maps, edges, strict=True):
            part = slice(left, left + width)
            yield (
                np.ascontiguousarray(video.read_frame(frame)[:, part]),
                np.ascontiguousarray(label_map[:, part]),
            )

    return Clip(f"sliding_{video.name}", "sliding", shots)


def _as_clip(video: Video, group: str, copies: Sequence[Sequence[int]] = ()) -> Clip:
    def shots() -> Iterator[tuple[Picture, LabelArray | None]]:
        for frame in range(video.frame_count):
            yield video.read_frame(frame), _label_map(video, frame)

    return Clip(video.name, group, shots, copies=copies)


def _label_map(video: Video, frame: int) -> LabelArray:
    label_map = video.read_annotation(frame)
    assert label_map is not None, f"{video.name} has no mask for frame {frame}"
    if video.has_void:
        label_map = np.where(label_map == VOID, 0, label_map)
    return label_map


def _shots_of(
    make: Callable[[], SyntheticClip],
) -> Callable[[], Iterator[tuple[Picture, LabelArray | None]]]:
    def shots() -> Iterator[tuple[Picture, LabelArray | None]]:
        clip = make()
        maps = clip.label_maps.astype(np.int32)
        yield from zip(clip.frames, maps, strict=True)

    return shots


def _without_truth(path: Path) -> Iterator[tuple[Picture, LabelArray | None]]:
    for picture in open_frames(path).pictures():
        yield picture, None


def _videos(data: Path, names: Sequence[str]) -> list[Video]:
    folders = find_clips(data, names)
    dataset = read_clip_folder(*sorted({folder.parent for folder in folders.values()}))
    return list(dataset.only(names))
