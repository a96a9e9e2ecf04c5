"""Segment one video into one run folder, as the commands ``segment`` and ``demo`` do.

request = VideoRequest(video=Path("dog.mp4"), masks=[Path("first.png")], output=Path("dog"))
result = run_video(request, SegmenterSpec(weights="lwl-small"))
print(result.card.frames, "frames,", result.room.total, "bytes")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from maskcast.io.video.source import FrameSource, open_frames
from maskcast.runs.card import read_card
from maskcast.runs.export_plan import check_objects
from maskcast.runs.export_record import exports_in
from maskcast.runs.export_settings import Exports
from maskcast.runs.fingerprint import fingerprint, prompt_fingerprints
from maskcast.runs.folder import RunFolder
from maskcast.runs.layout import EXPORTS, PROBABILITIES
from maskcast.runs.new_objects import NewObjects, begun_by_themselves
from maskcast.runs.object_report import (
    describe_cuts,
    describe_late_starts,
    describe_objects,
    describe_resumption,
    report_objects,
)
from maskcast.runs.objects import ObjectLook, names_of, parse_looks, read_objects, update_objects
from maskcast.runs.occupied import occupied
from maskcast.runs.opening import open_run
from maskcast.runs.request import RECOMPUTING, RunRequest
from maskcast.runs.segmentation import segment_into
from maskcast.runs.video_request import VideoRequest, VideoResult


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
    report = report or _say_nothing
    looks = parse_looks(request.names, request.colours)
    inputs = _read(request, looks, report, progress)
    request = _with_probabilities(request, report)
    asked = _asked(request, inputs, segmenter.identity(uses_boxes=inputs.uses_boxes))
    if request.direction == "forward":
        starts = {object_id: frame for object_id, (frame, _) in asked.first_prompts().items()}
        for line in describe_late_starts(starts, inputs.frame_key):
            report(line)
    with alone_in(request.output):
        exported = set() if request.overwrite else exports_in(request.output)
        run = open_run(
            request.output,
            asked,
            frame_name=inputs.frames.names.__getitem__,
            count=inputs.frames.count,
            masks=request.form,
            overwrite=request.overwrite,
            edited=request.edited,
            progress=progress,
        )
        if gone := sorted(exported - exports_in(request.output)):
            report(_describe_removed(gone))
        update_objects(request.output, looks)
        _record_prompt_files(run, request)
        if request.only_prompts:
            return _show_prompts(run, inputs, segmenter, progress)
        if run.card.status != "finished":
            built = _built(segmenter, progress)
            _segment(run, request, inputs, built, progress=progress, report=report)
        made = _exported(run, inputs.frames, request.exports, progress)
        return VideoResult(
            card=run.card,
            exports=made,
            room=occupied(request.output),
            objects=_describe_objects(run, inputs),
            video_seconds=_seconds_of(inputs.frames),
        )


@dataclass(frozen=True)
class _Input:
    """What was read of a request."""

    frames: FrameSource
    prompts: GivenPrompts
    detections: Detections | None

    @property
    def uses_boxes(self) -> bool:
        """Whether an object may start from a box."""
        marked = self.prompts.by_frame.values()
        has_box = any(isinstance(mark, Box) for marks in marked for mark in marks.values())
        return self.detections is not None or has_box

    def frame_key(self, frame_index: int) -> str:
        """Return a frame as it is written on the command line."""
        return _known_frames(self.frames).key(frame_index)


def _read(
    request: VideoRequest,
    looks: Mapping[int, ObjectLook],
    report: Callable[[str], None],
    progress: Progress | None,
) -> _Input:
    """Open the video, read the prompts, and check the request before anything is written."""
    among_frames = _masks_among_frames(request)
    frames = open_frames(
        request.video,
        start=request.start,
        end=request.end,
        on_bad_frame=request.on_bad_frame,
        exclude=among_frames,
        progress=progress,
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
    for line in (*(f"{mask} is a mask, not a frame" for mask in among_frames), *prompts.report):
        report(line)
    if detections is None:
        _reject_unknown(looks, prompts.by_frame)
        check_objects(request.exports, {i for marks in prompts.by_frame.values() for i in marks})
    else:
        report(detections.report)
    return _Input(frames, prompts, detections)


def _segment(
    run: RunFolder,
    request: VideoRequest,
    inputs: _Input,
    built: BuiltSegmenter,
    *,
    progress: Progress | None,
    report: Callable[[str], None],
) -> None:
    """Segment the frames that the run lacks."""
    frames, prompts, detections = inputs.frames, inputs.prompts, inputs.detections
    tracked, ends = as_tracked(
        prompts.renames, prompts.by_frame, prompts.ends, is_absence=_is_absence
    )

    def resumes(name: str, first: int, lacking: int) -> None:
        if name == "frames":
            report(describe_resumption(first, lacking, inputs.frame_key))

    segment_into(
        run,
        built.segmenter,
        frames.frames,
        tracked,
        ends=ends,
        frames_backward=frames.frames_backward if request.direction == "both" else None,
        count=frames.count,
        device=built.device,
        policy=request.policy,
        probabilities=request.probabilities,
        new_objects=None if detections is None else NewObjects(detections.by_frame, run),
        progress=progress,
        resumes=resumes,
    )


def _exported(
    run: RunFolder, frames: FrameSource, wanted: Exports, progress: Progress | None
) -> list[Path]:
    if wanted == Exports():
        return []
    from maskcast.runs.exports import export  # noqa: PLC0415 - imports PyAV

    return export(run, frames, wanted, progress=progress)


def _built(
    segmenter: SegmenterSource | BuiltSegmenter, progress: Progress | None
) -> BuiltSegmenter:
    if isinstance(segmenter, SegmenterSource):
        return segmenter.build(progress=progress)
    return segmenter


def _say_nothing(line: str) -> None:
    """Discard a line of a report."""


def _describe_removed(names: Sequence[str]) -> str:
    what = "1 export" if len(names) == 1 else f"{len(names)} exports"
    return f"removed {what} of earlier masks ({', '.join(names)}); request them to make them again"


def _with_probabilities(request: VideoRequest, report: Callable[[str], None]) -> VideoRequest:
    """Keep probabilities if an export needs them, or if the run in the folder has kept them."""
    card = None if request.overwrite else read_card(request.output)
    kept = card is not None and bool(card.request.settings.get(RECOMPUTING))
    needed = request.exports.needs_probabilities and not request.only_prompts
    if needed and card is not None and card.frames and not kept:
        report(
            "soft edges need probabilities, which this run has not kept: all frames are "
            "computed again"
        )
    return replace(request, probabilities=request.probabilities or needed or kept)


def _show_prompts(
    run: RunFolder,
    inputs: _Input,
    segmenter: SegmenterSource | BuiltSegmenter,
    progress: Progress | None,
) -> VideoResult:
    from maskcast.runs.prompt_pictures import write_prompt_pictures  # noqa: PLC0415 - rarely used

    if run.card.status == "running":
        run.update(status="interrupted")
    pictures = write_prompt_pictures(
        run.path / EXPORTS,
        inputs.frames,
        inputs.prompts.by_frame,
        build=lambda: _built(segmenter, progress),
        looks=read_objects(run.path),
        progress=progress,
    )
    return VideoResult(card=run.card, exports=pictures, room=occupied(run.path))


def _record_prompt_files(run: RunFolder, request: VideoRequest) -> None:
    files = tuple(str(path) for path in (*request.masks, *request.corrected))
    if run.card.prompt_files != files:
        run.update(prompt_files=files)


def _describe_objects(run: RunFolder, inputs: _Input) -> list[str]:
    entries = {i: e for i, e in sorted(run.log.by_frame().items()) if i < inputs.frames.count}
    logged = {index: entry.objects for index, entry in entries.items()}
    cuts = [i for i, entry in entries.items() if entry.begins_shot and entry.objects]
    prompted = {(frame, object_id) for frame, object_id, _ in run.card.request.marks()}
    names = names_of(read_objects(run.path))
    lines = describe_objects(report_objects(logged, prompted), inputs.frame_key, names=names)
    return [*describe_cuts(cuts, inputs.frame_key), *lines]


def _seconds_of(frames: FrameSource) -> float | None:
    return None if frames.timing is None else float(frames.count / frames.timing.rate)


def _known_frames(frames: FrameSource) -> PromptFrames:
    return PromptFrames(frames.names, frames.size, frames.first)


def _detection_files(request: VideoRequest) -> list[Path]:
    return [] if request.detections is None else [request.detections]


def _read_detections(request: VideoRequest, frames: FrameSource) -> Detections | None:
    if request.detections is None:
        return None
    known = _known_frames(frames)
    return read_detections(request.detections, known, least_score=request.detection_score)


def _asked(request: VideoRequest, inputs: _Input, identity: SegmenterIdentity) -> RunRequest:
    """Return the request to record on the run card."""
    prompts = inputs.prompts
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
    if inputs.detections is not None:
        digest = inputs.detections.digest[:32]
        settings["detections"] = f"{digest}, score {request.detection_score:g}"
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
