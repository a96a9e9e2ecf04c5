"""``maskcast segment``: from a video and its first masks or boxes to masks for every frame."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

from maskcast.cli.arguments import Device, MethodName, Options, Weights, shown_as
from maskcast.cli.run_result import print_result
from maskcast.cli.terminal import say
from maskcast.core.config import options_from
from maskcast.core.device_names import DtypeName
from maskcast.core.errors import UsageError
from maskcast.runs.export_settings import Exports

NO_EXPORTS = Exports()


def segment(
    video: Positional[Path],
    *,
    masks: UseAppendAction[tuple[Path, ...]] = (),
    box: Annotated[UseAppendAction[tuple[str, ...]], shown_as("BOX", "(repeatable)")] = (),
    end_object: Annotated[
        UseAppendAction[tuple[str, ...]], shown_as("FRAME:ID", "(repeatable)")
    ] = (),
    weights: Weights = None,
    method: MethodName = None,
    option: Options = (),
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("masks"),
    start: Annotated[str | None, shown_as("FRAME|TIME")] = None,
    end: Annotated[str | None, shown_as("FRAME|TIME")] = None,
    direction: Literal["forward", "both"] = "forward",
    on_bad_frame: Literal["stop", "hold"] = "stop",
    mask_threshold: Annotated[int | None, shown_as("VALUE")] = None,
    probabilities: bool = False,
    exports: Annotated[Exports, tyro.conf.arg(name=""), UseAppendAction] = NO_EXPORTS,
    edited: bool = False,
    overwrite: bool = False,
    device: Device = "auto",
    dtype: DtypeName = "float32",
    threads: Annotated[int | None, shown_as("COUNT")] = None,
    deterministic: bool = False,
    save_frames: int = 50,
    save_seconds: float = 5.0,
    keep_every: Annotated[int, shown_as("FRAMES", None)] = 25,
) -> None:
    """Follow the objects marked in the first frame, or in later ones, through a video.

    Mark objects with --masks or --box; both may be repeated and combined. The output folder gets
    one indexed PNG per frame, in which the value of a pixel is the id of its object, and the run
    card run.json. If the command is interrupted, the same command continues from where it was;
    with one more mask or box it continues from the frame of that mask.

    From a mask; from two boxes, with a video to look at; the first call again, with a mask that
    corrects frame 120:
        maskcast segment dog.mp4 --masks first.png -o dog
        maskcast segment frames --box 200,120,80,160 --box 40,60,30,30 -o two --overlay
        maskcast segment dog.mp4 --masks first.png --masks 00120.png -o dog

    Args:
        video: a video file, or a folder of frames (jpg, png) in name order.
        masks: a mask file or a folder of them: pixel value = object id, 0 = background. A file
            named like a frame, or by its index (00012.png), belongs to that frame; a single file
            of another name to the first frame. marks.json in a folder lists ends of objects.
        box: [[FRAME:]ID:]X,Y,WIDTH,HEIGHT in pixels; (X, Y) is the top left corner.
        end_object: FRAME:ID; the object is removed before that frame.
        weights: name or file; they say which method to run. Default: lwl-small, inside the package.
        method: a method's name, to take its default weights.
        option: NAME=VALUE, a setting of the method; maskcast info METHOD lists them.
        output: the run folder.
        start: the first frame wanted, as a number or a time (12.5s, 1:02).
        end: the first frame no longer wanted, likewise. It may change between calls.
        direction: both: from a mask in the middle go backward too; this fills the frames before an
            object's first mask. It can be added to a run that went forward.
        on_bad_frame: stop at a frame that cannot be read, or hold the one before it in its place.
            A run that has stopped can continue with hold.
        mask_threshold: for grey masks with soft edges: from this value on (1 to 255) a pixel
            belongs to the one object, id 1.
        probabilities: write soft masks too, probs/ID/FRAME.png in 16 bits.
        exports: what else is made, from the finished masks.
        edited: accept masks, boxes and ends that were changed or removed since the last call;
            frames from the first of them on are computed again, or brought back.
        overwrite: delete what an earlier run left in the output folder.
        device: auto (an accelerator if there is one), cpu, cuda, a certain GPU (cuda:1) or mps.
        dtype: of the network's computation; float32 is float32 on a GPU too, without TF32.
        threads: processor threads; the default is torch's.
        deterministic: the same bits in every run on a GPU; slower.
        save_frames: after at most so many frames the state is saved, to continue from.
        save_seconds: or after at most so many seconds.
        keep_every: keep the state after every so many frames, so that a correction costs few
            frames; 0: keep only the first and the last two.
    """
    from maskcast.cli.progress import TerminalProgress
    from maskcast.methods.spec import SegmenterSpec
    from maskcast.runs.segmentation import SavePolicy
    from maskcast.runs.video_run import VideoRequest, run_video

    chosen = _set_up(device, threads=threads, deterministic=deterministic)
    request = VideoRequest(
        video=video,
        output=output,
        masks=masks,
        boxes=box,
        ends=end_object,
        mask_threshold=mask_threshold,
        start=start,
        end=end,
        direction=direction,
        on_bad_frame=on_bad_frame,
        probabilities=probabilities,
        exports=exports,
        policy=SavePolicy(frames=save_frames, seconds=save_seconds, keep_every=keep_every),
        deterministic=deterministic,
        overwrite=overwrite,
        edited=edited,
    )
    segmenter = SegmenterSpec(
        weights=weights,
        method=method,
        options=options_from(option),
        device=chosen,
        dtype=dtype,
    )
    with TerminalProgress() as progress:
        result = run_video(request, segmenter, progress=progress, report=say)
    print_result(output, result)


def _set_up(device: str, *, threads: int | None, deterministic: bool) -> str:
    """Set what holds for the whole process, and return the device that is used."""
    import torch

    from maskcast.core.device import choose_device, make_deterministic
    from maskcast.core.heap import keep_freed_memory

    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, got {threads}", options=("threads",))
    torch.set_num_threads(threads or torch.get_num_threads())
    keep_freed_memory()
    if deterministic:
        make_deterministic()
    return str(choose_device(device))
