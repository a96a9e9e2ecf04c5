"""Segment one video into one run folder: the use case of ``segment``, ``demo`` and batches.

request = VideoRequest(video=Path("dog.mp4"), masks=[Path("first.png")], output=Path("dog"))
result = run_video(request, SegmenterSpec(weights="lwl-small"))
print(result.card.frames, "frames,", result.room.total, "bytes")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from maskcast.core.errors import UsageError
from maskcast.core.files import alone_in
from maskcast.core.progress import Progress
from maskcast.core.segmenter import BuiltSegmenter, SegmenterIdentity, SegmenterSource
from maskcast.core.types import Box, Prompts
from maskcast.io.prompts.reading import GivenPrompts, read_prompts
from maskcast.io.video.reader import OnBadFrame
from maskcast.io.video.source import open_frames
from maskcast.runs.card import RunCard
from maskcast.runs.exports import Exports, export
from maskcast.runs.fingerprint import fingerprint, prompt_fingerprints
from maskcast.runs.layout import EXPORTS, PROBABILITIES
from maskcast.runs.masks import MaskForm
from maskcast.runs.occupied import Occupied, occupied
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest
from maskcast.runs.segmentation import SavePolicy, segment_into


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """What to segment, and where the results go."""

    video: Path
    """A video file, or a folder of frames."""
    output: Path
    """The run folder; it is created if it does not exist."""
    masks: Sequence[Path] = ()
    """Mask files, or folders of them; see ``io.prompts.reading.read_prompts``."""
    boxes: Sequence[str] = ()
    """``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``."""
    ends: Sequence[str] = ()
    """``FRAME:ID``: the object is removed before that frame."""
    mask_threshold: int | None = None
    """Grey value (1 to 255) from which on a pixel of a soft mask belongs to object 1."""
    start: str | None = None
    """First frame, as a number or a time (12.5s, 1:02)."""
    end: str | None = None
    """First frame that is not segmented, likewise."""
    direction: Literal["forward", "both"] = "forward"
    """``both``: fill the frames before the objects' first prompts too."""
    on_bad_frame: OnBadFrame = "stop"
    """Whether a frame that cannot be read is an error, or is replaced by the one before it."""
    probabilities: bool = False
    """Write soft masks too."""
    form: MaskForm | None = None
    """How masks are kept; None: as in the folder, or as PNGs in a new one."""
    exports: Exports = field(default_factory=Exports)
    """What else is made, from the finished masks."""
    policy: SavePolicy = field(default_factory=SavePolicy)
    """How often states are saved."""
    deterministic: bool = False
    """Whether the process computes deterministically (``core.device``); belongs to the request."""
    overwrite: bool = False
    """Delete what an earlier run left in the folder."""
    edited: bool = False
    """Accept prompts and ends that were changed or removed since the last call."""


@dataclass(frozen=True, kw_only=True)
class VideoResult:
    """What a finished run has made."""

    card: RunCard
    exports: Sequence[Path]
    """Files and folders, in the order of ``Exports``."""
    room: Occupied
    """What the run folder takes on the disk."""


def run_video(
    request: VideoRequest,
    segmenter: SegmenterSource | BuiltSegmenter,
    *,
    progress: Progress | None = None,
    report: Callable[[str], None] | None = None,
) -> VideoResult:
    """Segment a video into a run folder, or continue the run that is there; make its exports.

    Args:
        request: the video, its prompts, and the folder.
        segmenter: a source is built once its masks are needed; batches pass one that they have
            built already, and use it for many videos.
        progress: called after every frame, and during other long work.
        report: called with each line about what was read from masks and boxes.

    Raises:
        UsageError: an argument is invalid, or would be overwritten (``RunConflictError``: the
            folder holds a different run, or another process works in it).
        DataError: the video, a frame, a mask, a box or the weights cannot be used.
        OutputError: the folder cannot be written to.
        DeviceMemoryError: the device has too little memory for a frame.
        KeyboardInterrupt: the run was stopped; like after any error, the same call continues it.
    """
    frames = open_frames(
        request.video,
        start=request.start,
        end=request.end,
        on_bad_frame=request.on_bad_frame,
    )
    _check_sources((request.video, *request.masks), request.output, frames.names)
    given = read_prompts(
        request.masks,
        request.boxes,
        ends=request.ends,
        names=frames.names,
        size=frames.size,
        first=frames.first,
        mask_threshold=request.mask_threshold,
    )
    if report is not None:
        for line in given.report:
            report(line)
    identity = segmenter.identity(uses_boxes=_uses_boxes(given.by_frame))
    asked = _asked(request, given, identity)
    with alone_in(request.output):
        run = open_run(
            request.output,
            asked,
            frame_name=frames.names.__getitem__,
            count=frames.count,
            masks=request.form,
            overwrite=request.overwrite,
            edited=request.edited,
        )
        if run.card.status != "finished":
            if isinstance(segmenter, SegmenterSource):
                segmenter = segmenter.build(progress=progress)
            segment_into(
                run,
                segmenter.segmenter,
                frames.frames,
                given.by_frame,
                ends=given.ends,
                frames_backward=frames.frames_backward if request.direction == "both" else None,
                count=frames.count,
                device=segmenter.device,
                policy=request.policy,
                probabilities=request.probabilities,
                progress=progress,
            )
        made = export(run, frames, request.exports, progress=progress)
        return VideoResult(card=run.card, exports=made, room=occupied(request.output))


def _asked(request: VideoRequest, given: GivenPrompts, identity: SegmenterIdentity) -> RunRequest:
    """Return what the run card says was asked."""
    settings: dict[str, Any] = {
        "start": request.start,
        "end": request.end,
        "direction": request.direction,
        "dtype": identity.dtype,
        "on_bad_frame": request.on_bad_frame,
        "deterministic": request.deterministic,
    }
    return RunRequest(
        method=identity.method,
        weights=identity.weights or "",
        weights_sha256=identity.weights_sha256 or "",
        box_start=identity.box_start,
        options=dict(identity.options),
        settings=settings | ({"probabilities": True} if request.probabilities else {}),
        input=str(request.video),
        input_sha256=fingerprint(request.video),
        prompts=prompt_fingerprints(given.by_frame, given.ends),
    )


def _uses_boxes(prompts: Mapping[int, Prompts]) -> bool:
    return any(isinstance(mark, Box) for marks in prompts.values() for mark in marks.values())


def _check_sources(sources: Iterable[Path], output: Path, names: Container[str]) -> None:
    """Reject a video and masks that the run would overwrite."""
    folder = _followed(output)
    for source in sources:
        target = _followed(source)
        is_painted = target.parent == folder and target.suffix == ".png" and target.stem in names
        is_made = any(target.is_relative_to(folder / made) for made in (EXPORTS, PROBABILITIES))
        if target == folder or is_painted or is_made:
            raise UsageError(
                f"{source} would be overwritten; copy it, or choose another folder",
                options=("output",),
            )


def _followed(path: Path) -> Path:
    """Follow links; those that go round stay, which ``Path.resolve`` has no message for."""
    return Path(os.path.realpath(path))
