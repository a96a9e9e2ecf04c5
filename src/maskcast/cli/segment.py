"""``maskcast segment``: segment marked objects in every frame of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

from maskcast.cli.arguments import (
    EXPORT_GROUPS,
    Device,
    ListFile,
    MethodName,
    Options,
    Texts,
    WeightsArgument,
    repeatable,
    shown_as,
)
from maskcast.cli.run_result import print_prompts, print_result
from maskcast.cli.terminal import say
from maskcast.core.config import options_from
from maskcast.core.device_names import DtypeChoice
from maskcast.core.heap import quick_imports
from maskcast.runs.export_settings import Exports

if TYPE_CHECKING:
    from maskcast.methods.spec import SegmenterSpec
    from maskcast.runs.segmentation import SavePolicy

NO_EXPORTS = Exports()
OPTION_GROUPS = {
    "input": ("--start", "--end", "--direction", "--on-bad-frame"),
    "prompts": (
        "--masks",
        "--box",
        "--detections",
        "--detection-score",
        "--only-prompts",
        "--corrected",
        "--absent",
        "--end-object",
        "--swap",
        "--merge",
        "--name",
        "--colour",
        "--mask-threshold",
    ),
    "method": ("--weights", "--method", "--option"),
    "output": ("--output", "--probabilities", "--rle", "--tracks", "--annotations"),
    **EXPORT_GROUPS,
    "resuming": ("--edited", "--overwrite", "--save-frames", "--save-seconds", "--keep-every"),
    "machine": ("--device", "--dtype", "--threads", "--deterministic"),
    "other": (),
}


@dataclass(frozen=True, kw_only=True)
class SavingOptions:
    """How often states are saved; see ``SavePolicy``."""

    save_frames: int = 50
    """save the state, from which a run can resume, at least once per this many frames."""
    save_seconds: float = 5.0
    """save the state at least once per this many seconds."""
    keep_every: Annotated[int, shown_as("FRAMES", None)] = 25
    """keep the state of every n-th frame, so that a correction recomputes few frames; 0 keeps only
    the first and the last two."""

    def policy(self) -> SavePolicy:
        """Return these settings as those of a run."""
        from maskcast.runs.segmentation import SavePolicy

        return SavePolicy(
            frames=self.save_frames, seconds=self.save_seconds, keep_every=self.keep_every
        )


@dataclass(frozen=True, kw_only=True)
class SegmenterOptions:
    """Which segmenter to use, and where it computes."""

    weights: WeightsArgument = None
    """name or file of the weights, which also select the method; default: lwl-small, which is part
    of the package."""
    method: MethodName = None
    """a method, run with its default weights."""
    option: Options = ()
    """NAME=VALUE, a setting of the method; maskcast info METHOD lists the settings."""
    device: Device = "auto"
    """auto (a GPU if there is one), cpu, cuda, a specific GPU (cuda:1) or mps."""
    dtype: DtypeChoice = "float32"
    """data type of the network's computation; float32 never uses TF32, not even on a GPU. auto:
    that of the run in the output folder; for a new run, bfloat16 with lwl-small on a processor that
    supports it natively, otherwise float32."""
    threads: Annotated[int | None, shown_as("COUNT")] = None
    """CPU threads; default: chosen by PyTorch."""
    deterministic: bool = False
    """use only deterministic algorithms, so that runs on a GPU are bit-identical; slower."""

    def set_up(self, output: Path, *, is_new: bool) -> SegmenterSpec:
        """Apply the settings of the whole process, and return which segmenter to build.

        Args:
            output: the run folder, whose run decides what these options leave open.
            is_new: whether a run in the folder will be deleted, so that it decides no data type.
        """
        from maskcast.methods.catalogue import locate_weights
        from maskcast.runs.earlier_weights import dtype_begun_with, weights_begun_with

        weights = self.weights or weights_begun_with(output, method=self.method)
        locate_weights(weights, self.method)  # before torch is imported, which takes seconds

        from maskcast.methods.precision import dtype_of
        from maskcast.methods.spec import SegmenterSpec

        device = _set_up(self.device, threads=self.threads, deterministic=self.deterministic)
        recorded = None if is_new or self.dtype != "auto" else dtype_begun_with(output)
        return SegmenterSpec(
            weights=weights,
            method=self.method,
            options=options_from(self.option),
            device=device,
            dtype=dtype_of(weights, recorded or self.dtype, method=self.method, device=device),
        )


SAVING_OPTIONS, SEGMENTER_OPTIONS = SavingOptions(), SegmenterOptions()


def segment(
    video: Positional[Path],
    *,
    masks: UseAppendAction[tuple[Path, ...]] = (),
    box: Annotated[Texts, repeatable("BOX")] = (),
    corrected: UseAppendAction[tuple[Path, ...]] = (),
    absent: Annotated[Texts, repeatable("FRAMES:ID[,ID]")] = (),
    end_object: Annotated[Texts, repeatable("FRAME:ID")] = (),
    swap: Annotated[Texts, repeatable("FRAME:ID,ID")] = (),
    merge: Annotated[Texts, repeatable("FRAME:ID,ID[,ID]")] = (),
    detections: ListFile = None,
    detection_score: float = 0.5,
    name: Annotated[Texts, repeatable("ID=NAME")] = (),
    colour: Annotated[Texts, repeatable("ID=#RRGGBB")] = (),
    segmenter: Annotated[SegmenterOptions, tyro.conf.arg(name="")] = SEGMENTER_OPTIONS,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("masks"),
    start: Annotated[str | None, shown_as("FRAME|TIME")] = None,
    end: Annotated[str | None, shown_as("FRAME|TIME")] = None,
    direction: Literal["forward", "both"] = "forward",
    on_bad_frame: Literal["stop", "hold"] = "stop",
    mask_threshold: Annotated[int | None, shown_as("VALUE")] = None,
    probabilities: bool = False,
    exports: Annotated[Exports, tyro.conf.arg(name=""), UseAppendAction] = NO_EXPORTS,
    only_prompts: bool = False,
    edited: bool = False,
    overwrite: bool = False,
    saving: Annotated[SavingOptions, tyro.conf.arg(name="")] = SAVING_OPTIONS,
) -> None:
    """Segment the objects marked on the first frame, or on later ones, in all frames of a video.

    Mark objects with --masks or --box; both may be repeated and combined. The output folder gets
    one indexed PNG per frame, in which each pixel holds the id of its object, and run.json, which
    records the run. After an interruption, run the same command again to continue. If a frame is
    wrong, correct a copy of its PNG, and run the command again with --corrected to continue from
    there.

    Examples: start from a mask; start from two boxes and export an overlay video; run the first
    command again with a corrected copy of dog/00120.png; run it again because the object is not
    visible on frames 74 to 103:
        maskcast segment dog.mp4 --masks first.png -o dog
        maskcast segment frames --box 200,120,80,160 --box 40,60,30,30 -o two --overlay
        maskcast segment dog.mp4 --masks first.png --corrected fixed/00120.png -o dog
        maskcast segment dog.mp4 --masks first.png --absent 74-103:1 -o dog

    Args:
        video: a video file, or a folder of frames (jpg, png) in name order.
        masks: a mask file or a folder of mask files: pixel value = object id, 0 = background. A
            file named after a frame or its index (00012.png) belongs to that frame; a single file
            with another name belongs to the first frame. A mask says nothing about objects that it
            lacks. In a folder, marks.json may list frames on which objects are absent or end.
        box: [[FRAME:]ID:]X,Y,WIDTH,HEIGHT in pixels; (X, Y) is the top left corner.
        corrected: a corrected copy of a mask of the output folder, or a folder of them, named like
            masks. It shows the whole frame: objects that it lacks are absent there, and it may have
            none at all.
        absent: FRAMES:ID[,ID], such as 120:2 or 74-103:1,2; the objects are not visible on these
            frames. They stay tracked, and may return.
        end_object: FRAME:ID; remove the object from this frame on.
        swap: FRAME:ID,ID, such as 120:1,2; the objects have each other's ids from this frame on.
            Nothing is segmented again, unless one of them has a later mask or mark.
        merge: FRAME:ID,ID[,ID]; the other objects are part of the first one from this frame on.
        detections: boxes of a detector over time: COCO results or data set (JSON), or MOT text. A
            box that matches no tracked object starts a new one, with an id from 101 on.
        detection_score: lowest score of the boxes to use.
        name: ID=NAME; overlays, contact sheets and reports show it. It is kept in objects.json.
        colour: ID=#RRGGBB, such as 1=#d55e00; its colour in overlays and contact sheets.
        segmenter: which segmenter to use, and where it computes.
        output: the run folder.
        start: first frame to segment, as a number or a time (12.5s, 1:02).
        end: frame or time to stop before, in the same form. It may change between calls.
        direction: both also segments backward, to fill the frames before an object's first mask. It
            can be added to a finished forward run.
        on_bad_frame: stop at an unreadable frame, or hold: repeat the frame before it. A run that
            has stopped can be continued with hold.
        mask_threshold: lowest grey value (1 to 255) that belongs to the object, for grey masks with
            soft edges, which mark a single object, id 1.
        probabilities: also write soft masks, as 16-bit images probs/ID/FRAME.png.
        exports: further results made from the finished masks.
        only_prompts: segment nothing; write the first masks, and previews of the masks of boxes, to
            exports/prompts-FRAME.png, and a sheet of them. To continue, run the command without
            it.
        edited: accept masks, boxes, absences and ends that were changed or removed since the last
            call; frames from the first change on are segmented again or restored.
        overwrite: delete the results of an earlier run in the output folder.
        saving: how often states are saved.
    """
    from maskcast.runs.early_checks import check_files, check_texts

    check_files(video, masks=masks, corrected=corrected, detections=detections, boxes=box)
    check_texts(
        boxes=box,
        absent=absent,
        ends=end_object,
        swaps=swap,
        merges=merge,
        names=name,
        colours=colour,
    )
    with quick_imports():
        spec = segmenter.set_up(output, is_new=overwrite)

        from maskcast.cli.progress import TerminalProgress
        from maskcast.runs.video_request import VideoRequest
        from maskcast.runs.video_run import run_video

    request = VideoRequest(
        video=video,
        output=output,
        masks=masks,
        boxes=box,
        corrected=corrected,
        absent=absent,
        ends=end_object,
        swaps=swap,
        merges=merge,
        detections=detections,
        detection_score=detection_score,
        names=name,
        colours=colour,
        mask_threshold=mask_threshold,
        start=start,
        end=end,
        direction=direction,
        on_bad_frame=on_bad_frame,
        probabilities=probabilities,
        exports=exports,
        policy=saving.policy(),
        deterministic=segmenter.deterministic,
        overwrite=overwrite,
        edited=edited,
        only_prompts=only_prompts,
    )
    with TerminalProgress() as progress:
        result = run_video(request, spec, progress=progress, report=say)
    if only_prompts:
        print_prompts(result)
    else:
        print_result(output, result)


def _set_up(device: str, *, threads: int | None, deterministic: bool) -> str:
    """Apply the settings that hold for the whole process, and return the device to use."""
    from maskcast.core.device import choose_device, make_deterministic, set_threads
    from maskcast.core.heap import keep_freed_memory

    set_threads(threads)
    keep_freed_memory()
    if deterministic:
        make_deterministic()
    return str(choose_device(device))
