"""Segment one video into one run folder, as the commands ``segment`` and ``demo`` do.

request = VideoRequest(video=Path("dog.mp4"), masks=[Path("first.png")], output=Path("dog"))
result = run_video(request, SegmenterSpec(weights="lwl-small"))
print(result.card.frames, "frames,", result.room.total, "bytes")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from maskcast.core.errors import UsageError
from maskcast.core.files import alone_in
from maskcast.core.progress import Progress
from maskcast.core.renames import as_tracked
from maskcast.core.segmenter import BuiltSegmenter, SegmenterIdentity, SegmenterSource
from maskcast.core.types import Absent, Box, Mask, Prompts
from maskcast.io.prompts.detections import Detections, read_detections
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.reading import GivenPrompts, read_prompts
from maskcast.io.video.frame_folder import is_frame_file
from maskcast.io.video.reader import OnBadFrame
from maskcast.io.video.source import FrameSource, open_frames
from maskcast.runs.card import RunCard, read_card
from maskcast.runs.export_plan import check_objects
from maskcast.runs.exports import Exports, export
from maskcast.runs.fingerprint import fingerprint, prompt_fingerprints
from maskcast.runs.folder import RunFolder
from maskcast.runs.layout import EXPORTS, PROBABILITIES
from maskcast.runs.masks import MaskForm
from maskcast.runs.new_objects import NewObjects, begun_by_themselves
from maskcast.runs.object_report import (
    describe_cuts,
    describe_late_starts,
    describe_objects,
    describe_resumption,
    report_objects,
)
from maskcast.runs.objects import names_of, parse_looks, read_objects, update_objects
from maskcast.runs.occupied import Occupied, occupied
from maskcast.runs.opening import open_run
from maskcast.runs.prompt_pictures import write_prompt_pictures
from maskcast.runs.request import RECOMPUTING, RunRequest
from maskcast.runs.segmentation import Resumes, SavePolicy, segment_into


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """The video to segment, its prompts, and where to write the results."""

    video: Path
    """A video file, or a folder of frames."""
    output: Path
    """The run folder; it is created if it does not exist."""
    masks: Sequence[Path] = ()
    """Mask files, or folders of them; see ``io.prompts.reading.read_prompts``."""
    boxes: Sequence[str] = ()
    """``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``."""
    corrected: Sequence[Path] = ()
    """Corrected masks, which show the whole frame: objects that they lack are absent."""
    absent: Sequence[str] = ()
    """``FRAMES:ID[,ID]``: the objects are not visible on these frames."""
    ends: Sequence[str] = ()
    """``FRAME:ID``: remove the object before that frame."""
    swaps: Sequence[str] = ()
    """``FRAME:ID,ID``: the objects have each other's ids from that frame on."""
    merges: Sequence[str] = ()
    """``FRAME:ID,ID[,ID]``: the other objects are part of the first one from that frame on."""
    detections: Path | None = None
    """Boxes of a detector; those that match no object begin one (``runs.new_objects``)."""
    detection_score: float = 0.5
    """Smallest score of the boxes to use, in [0, 1]."""
    names: Sequence[str] = ()
    """``ID=NAME``: names of objects, added to those in ``objects.json``."""
    colours: Sequence[str] = ()
    """``ID=#rrggbb``: colours of objects, likewise."""
    mask_threshold: int | None = None
    """Smallest grey value (1 to 255) at which a pixel of a soft mask belongs to object 1."""
    start: str | None = None
    """First frame to segment, as a number or a time (12.5s, 1:02)."""
    end: str | None = None
    """First frame not to segment, as a number or a time."""
    direction: Literal["forward", "both"] = "forward"
    """``both`` also fills the frames before each object's first prompt."""
    on_bad_frame: OnBadFrame = "stop"
    """``stop`` raises an error at a frame that cannot be read; ``hold`` repeats the one before."""
    probabilities: bool = False
    """Write soft masks too."""
    form: MaskForm | None = None
    """How masks are stored; None means as in the folder, or as PNGs in a new one."""
    exports: Exports = field(default_factory=Exports)
    """Files to make from the finished masks."""
    policy: SavePolicy = field(default_factory=SavePolicy)
    """How often states are saved."""
    deterministic: bool = False
    """Whether the process computes deterministically (``core.device``); part of the request."""
    overwrite: bool = False
    """Delete the results of an earlier run in the folder."""
    edited: bool = False
    """Accept prompts and ends that were changed or removed since the last call."""
    only_prompts: bool = False
    """Segment nothing, and make no exports but pictures of the masks and boxes
    (``runs.prompt_pictures``). The same request without it goes on."""


@dataclass(frozen=True, kw_only=True)
class VideoResult:
    """The results of a finished run."""

    card: RunCard
    exports: Sequence[Path]
    """Paths of the exports, in the order of the fields of ``Exports``."""
    room: Occupied
    """Disk usage of the run folder."""
    objects: Sequence[str] = ()
    """Lines about objects that are absent, unsure, or change abruptly on some frames; few, with the
    object that has most such frames first."""
    video_seconds: float | None = None
    """Length of the segmented part in seconds; None for frames without times."""


def run_video(
    request: VideoRequest,
    segmenter: SegmenterSource | BuiltSegmenter,
    *,
    progress: Progress | None = None,
    report: Callable[[str], None] | None = None,
) -> VideoResult:
    """Segment a video into a run folder, or continue the run in it, and make its exports.

    Args:
        request: the video, its prompts, and the run folder.
        segmenter: a source, which is built only if frames have to be segmented, or a built
            segmenter, which can be used for many videos.
        progress: called after every frame and during other long operations.
        report: called with each line that describes the masks and boxes that were read.

    Raises:
        UsageError: an argument is invalid, or a file of the user would be overwritten.
        RunConflictError: the folder holds a different run, or another process is using it.
        DataError: the video, a frame, a mask, a box or the weights cannot be used.
        OutputError: the folder cannot be written to.
        DeviceMemoryError: the device has too little memory for a frame.
        KeyboardInterrupt: the user interrupted. As after any error, the same call continues the
            run.
    """
    looks = parse_looks(request.names, request.colours)
    frames = open_frames(
        request.video,
        start=request.start,
        end=request.end,
        on_bad_frame=request.on_bad_frame,
        exclude=(among_frames := _masks_among_frames(request)),
    )
    sources = (request.video, *request.masks, *request.corrected, *_detection_files(request))
    _check_sources(sources, request.output, frames.names)
    detections = _read_detections(request, frames)
    prompts = read_prompts(
        request.masks,
        request.boxes,
        corrected=request.corrected,
        absent=request.absent,
        ends=request.ends,
        swaps=request.swaps,
        merges=request.merges,
        others=None if detections is None else begun_by_themselves(request.output),
        names=frames.names,
        size=frames.size,
        first=frames.first,
        mask_threshold=request.mask_threshold,
        goes_backward=request.direction == "both",
    )
    if report is not None:
        for line in (*(f"{mask} is a mask, not a frame" for mask in among_frames), *prompts.report):
            report(line)
        if detections is not None:
            report(detections.report)
    if detections is None:
        _reject_unknown(looks, prompts.by_frame)
        check_objects(request.exports, {i for marks in prompts.by_frame.values() for i in marks})
    request = _with_probabilities(request, report)
    uses_boxes = detections is not None or _uses_boxes(prompts.by_frame)
    identity = segmenter.identity(uses_boxes=uses_boxes)
    asked = _asked(request, prompts, identity, detections)
    if report is not None and request.direction == "forward":
        starts = {object_id: frame for object_id, (frame, _) in asked.first_prompts().items()}
        for line in describe_late_starts(starts, _frame_key(frames)):
            report(line)
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
        update_objects(request.output, looks)
        _record_prompt_files(run, request)
        if request.only_prompts:
            return _show_prompts(run, frames, prompts, segmenter, progress)
        if run.card.status != "finished":
            if isinstance(segmenter, SegmenterSource):
                segmenter = segmenter.build(progress=progress)
            tracked, ends = as_tracked(
                prompts.renames, prompts.by_frame, prompts.ends, is_absence=_is_absence
            )
            segment_into(
                run,
                segmenter.segmenter,
                frames.frames,
                tracked,
                ends=ends,
                frames_backward=frames.frames_backward if request.direction == "both" else None,
                count=frames.count,
                device=segmenter.device,
                policy=request.policy,
                probabilities=request.probabilities,
                new_objects=None if detections is None else NewObjects(detections.by_frame, run),
                progress=progress,
                resumes=None if report is None else _reporting(report, frames),
            )
        made = export(run, frames, request.exports, progress=progress)
        return VideoResult(
            card=run.card,
            exports=made,
            room=occupied(request.output),
            objects=_describe_objects(run, frames),
            video_seconds=_seconds_of(frames),
        )


def _with_probabilities(
    request: VideoRequest, report: Callable[[str], None] | None
) -> VideoRequest:
    """Keep probabilities if an export needs them, or if the run in the folder has kept them."""
    card = None if request.overwrite else read_card(request.output)
    kept = card is not None and bool(card.request.settings.get(RECOMPUTING))
    needed = request.exports.needs_probabilities and not request.only_prompts
    if needed and card is not None and card.frames and not kept and report is not None:
        report(
            "soft edges need probabilities, which this run has not kept: all frames are "
            "computed again"
        )
    return replace(request, probabilities=request.probabilities or needed or kept)


def _show_prompts(
    run: RunFolder,
    frames: FrameSource,
    prompts: GivenPrompts,
    segmenter: SegmenterSource | BuiltSegmenter,
    progress: Progress | None,
) -> VideoResult:
    def build() -> BuiltSegmenter:
        source = segmenter
        return source.build(progress=progress) if isinstance(source, SegmenterSource) else source

    if run.card.status == "running":
        run.update(status="interrupted")
    pictures = write_prompt_pictures(
        run.path / EXPORTS,
        frames,
        prompts.by_frame,
        build=build,
        looks=read_objects(run.path),
        progress=progress,
    )
    return VideoResult(card=run.card, exports=pictures, room=occupied(run.path))


def _record_prompt_files(run: RunFolder, request: VideoRequest) -> None:
    files = tuple(str(path) for path in (*request.masks, *request.corrected))
    if run.card.prompt_files != files:
        run.update(prompt_files=files)


def _describe_objects(run: RunFolder, frames: FrameSource) -> list[str]:
    entries = {i: e for i, e in sorted(run.log.by_frame().items()) if i < frames.count}
    logged = {index: entry.objects for index, entry in entries.items()}
    cuts = [i for i, entry in entries.items() if entry.begins_shot and entry.objects]
    prompted = {(frame, object_id) for frame, object_id, _ in run.card.request.marks()}
    key, names = _frame_key(frames), names_of(read_objects(run.path))
    lines = describe_objects(report_objects(logged, prompted), key, names=names)
    return [*describe_cuts(cuts, key), *lines]


def _reporting(report: Callable[[str], None], frames: FrameSource) -> Resumes:
    """Return a function that reports where the forward pass goes on."""
    key = _frame_key(frames)

    def resumes(name: str, first: int, lacking: int) -> None:
        if name == "frames":
            report(describe_resumption(first, lacking, key))

    return resumes


def _seconds_of(frames: FrameSource) -> float | None:
    return None if frames.timing is None else float(frames.count / frames.timing.rate)


def _frame_key(frames: FrameSource) -> Callable[[int], str]:
    return PromptFrames(frames.names, frames.size, frames.first).key


def _detection_files(request: VideoRequest) -> list[Path]:
    return [] if request.detections is None else [request.detections]


def _read_detections(request: VideoRequest, frames: FrameSource) -> Detections | None:
    if request.detections is None:
        return None
    known = PromptFrames(frames.names, frames.size, frames.first)
    return read_detections(request.detections, known, least_score=request.detection_score)


def _asked(
    request: VideoRequest,
    prompts: GivenPrompts,
    identity: SegmenterIdentity,
    detections: Detections | None,
) -> RunRequest:
    """Return the request to record on the run card."""
    settings: dict[str, Any] = {
        "start": request.start,
        "end": request.end,
        "direction": request.direction,
        "dtype": identity.dtype,
        "on_bad_frame": request.on_bad_frame,
        "deterministic": request.deterministic,
    }
    if request.probabilities:
        settings["probabilities"] = True
    if detections is not None:
        settings["detections"] = f"{detections.digest[:32]}, score {request.detection_score:g}"
    return RunRequest(
        method=identity.method,
        weights=identity.weights or "",
        weights_sha256=identity.weights_sha256 or "",
        box_start=identity.box_start,
        options=dict(identity.options),
        settings=settings,
        input=str(request.video),
        input_sha256=fingerprint(request.video),
        prompts=prompt_fingerprints(prompts.by_frame, prompts.ends, prompts.renames),
    )


def _reject_unknown(ids: Iterable[int], prompts: Mapping[int, Prompts]) -> None:
    marked = {object_id for marks in prompts.values() for object_id in marks}
    if unknown := sorted(set(ids) - marked):
        raise UsageError(
            f"object {unknown[0]} has a name or a colour, but no mask or box; marked objects: "
            f"{', '.join(map(str, sorted(marked)))}",
            options=("name", "colour"),
        )


def _is_absence(prompt: Mask | Box | Absent) -> bool:
    return isinstance(prompt, Absent)


def _uses_boxes(prompts: Mapping[int, Prompts]) -> bool:
    return any(isinstance(mark, Box) for marks in prompts.values() for mark in marks.values())


def _check_sources(sources: Iterable[Path], output: Path, names: Container[str]) -> None:
    """Raise ``UsageError`` if the run would overwrite the video or a mask."""
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


def _masks_among_frames(request: VideoRequest) -> list[Path]:
    """Return the given masks that lie in the folder of frames.

    Raises:
        UsageError: the folder of frames is given as a folder of masks.
    """
    video = _followed(request.video)
    if not video.is_dir():
        return []
    if any(_followed(mask) == video for mask in (*request.masks, *request.corrected)):
        raise UsageError(
            f"{request.video} is given as the folder of frames and of masks; give the masks alone",
            options=("masks",),
        )
    return [
        mask
        for mask in (*request.masks, *request.corrected)
        if _followed(mask).parent == video and is_frame_file(mask) and mask.is_file()
    ]


def _followed(path: Path) -> Path:
    """Resolve links; unlike ``Path.resolve``, loops of links raise no error."""
    return Path(os.path.realpath(path))
