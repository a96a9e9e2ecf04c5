"""Write one frame as PNG files to paint on: its picture, and its masks in a run.

files = write_frame_pictures(Path("dog.mp4"), "120", Path("fixed"), run=Path("dog"))
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.errors import UsageError
from maskcast.core.files import path_inside, write_bytes
from maskcast.core.numbers import counted, shortened
from maskcast.core.progress import Progress
from maskcast.io.label_maps import encode_label_map
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.video.source import FrameSource, open_frames
from maskcast.runs.card import RunCard, read_card
from maskcast.runs.fingerprint import fingerprint
from maskcast.runs.folder import RunFolder
from maskcast.runs.layout import CARD
from maskcast.runs.objects import colours_of, names_of, read_objects
from maskcast.viz.overlay import draw_overlay


@dataclass(frozen=True, kw_only=True)
class FrameFiles:
    """The files of one frame."""

    picture: Path
    """The frame, ``NAME-picture.png``."""
    label_map: Path | None = None
    """Its label map in the run, ``NAME.png``; None without a run."""
    overlay: Path | None = None
    """The label map painted over the picture, ``NAME-overlay.png``; None without a run."""


def write_frame_pictures(
    video: Path,
    frame: str,
    output: Path,
    *,
    run: Path | None = None,
    progress: Progress | None = None,
) -> FrameFiles:
    """Write the picture of a frame, and with a run its label map and an overlay.

    The label map is named so that ``VideoRequest.corrected`` assigns it to its frame. A file that
    exists with another content, such as a painted copy, is never replaced.

    Args:
        video: a video file, or a folder of frames.
        frame: name of the frame, or its index in the whole video.
        output: the folder to write into; it is created if it does not exist.
        run: folder of a run over ``video``.
        progress: called with the seconds of the video that are indexed.

    Raises:
        UsageError: the frame does not exist, ``run`` is not a run over ``video`` or has no masks
            of the frame yet, or a file exists.
        DataError: the video, the frame or the run cannot be read.
        OutputError: a file cannot be written.
    """
    card = None if run is None else _card_of(run, video)
    start = None if card is None else card.request.settings.get("start")
    frames = open_frames(video, start=start, on_bad_frame="hold", progress=progress)
    _reject_folder_of_frames(video, run, output)
    frame_index = _find(frame, frames)
    name = frames.names[frame_index]
    picture = frames.picture(frame_index)
    files = FrameFiles(picture=path_inside(output, name, "-picture.png"))
    contents = {files.picture: _png(picture)}
    if run is not None and card is not None:
        label_map, painted = _masks(run, card, frames, frame_index, picture)
        files = FrameFiles(
            picture=files.picture,
            label_map=(map_path := path_inside(output, name, ".png")),
            overlay=(overlay_path := path_inside(output, name, "-overlay.png")),
        )
        contents |= {map_path: encode_label_map(label_map), overlay_path: _png(painted)}
    _write_new(contents)
    return files


def _card_of(run: Path, video: Path) -> RunCard:
    card = read_card(run)
    if card is None:
        raise UsageError(f"{run} is not a run folder: it has no {CARD}")
    if card.request.input_sha256 != fingerprint(video):
        raise UsageError(
            f"{run} is a run over another video, {shortened(card.request.input, 80)}, or {video} "
            "has changed since"
        )
    return card


def _reject_folder_of_frames(video: Path, run: Path | None, output: Path) -> None:
    for folder in (video, run):
        if folder is not None and output.resolve() == folder.resolve():
            raise UsageError(
                f"{output} holds the frames or masks themselves; choose another folder",
                options=("output",),
            )


def _find(frame: str, frames: FrameSource) -> int:
    known = PromptFrames(frames.names, frames.size, frames.first)
    frame_index = known.find(frame)
    if frame_index is None:
        raise UsageError(
            f"frame {shortened(frame)} does not exist; {known.known()}", options=("frame",)
        )
    return frame_index


def _masks(
    path: Path, card: RunCard, frames: FrameSource, frame_index: int, picture: Picture
) -> tuple[LabelArray, Picture]:
    """Return the label map of a frame in a run, and the overlay that the run would export."""
    run = RunFolder(path, card, frames.names.__getitem__, count=frames.count)
    if not run.masks.has(frame_index):
        raise UsageError(
            f"{path} has no masks of frame {frames.names[frame_index]}; it has "
            f"{counted(card.frames, 'frame')}"
        )
    label_map = run.masks.read(frame_index)
    if label_map.shape != frames.size:
        height, width = label_map.shape
        raise UsageError(
            f"{run.masks.path(frame_index)} is {width}×{height}, but the video is "
            f"{frames.size[1]}×{frames.size[0]}"
        )
    looks = read_objects(path)
    painted = draw_overlay(
        picture,
        label_map,
        absent=run.absent_objects().get(frame_index, ()),
        colours=colours_of(looks),
        names=names_of(looks),
    )
    return label_map, painted


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _write_new(contents: Mapping[Path, bytes]) -> None:
    """Write files; ones that exist must have the same content already."""
    new = {path: content for path, content in contents.items() if not _is_there(path, content)}
    for path, content in new.items():
        write_bytes(path, content)


def _is_there(path: Path, content: bytes) -> bool:
    if not path.exists():
        return False
    if path.is_file() and path.read_bytes() == content:
        return True
    raise UsageError(
        f"{path} exists and may have been painted on; move it away, or choose another folder",
        options=("output",),
    )
