"""``maskcast segment``: from a video and its first masks or boxes to masks for every frame."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

from maskcast.cli.arguments import Device, MethodName, Options, Weights, shown_as
from maskcast.cli.terminal import say
from maskcast.core.config import options_from
from maskcast.core.device_names import DtypeName
from maskcast.core.errors import UsageError
from maskcast.runs.export_settings import Exports

if TYPE_CHECKING:
    from maskcast.runs.card import RunCard

NO_EXPORTS = Exports()


def segment(
    video: Positional[Path],
    *,
    masks: UseAppendAction[tuple[Path, ...]] = (),
    box: Annotated[UseAppendAction[tuple[str, ...]], shown_as("BOX", "(repeatable)")] = (),
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
    card run.json. When the command is interrupted, the same command again goes on from where it
    was; with one more mask or box it goes on from the frame of that mask.

    From a mask; from two boxes, with a video to look at; the first call again, with a mask that
    corrects frame 120:
        maskcast segment dog.mp4 --masks first.png -o dog
        maskcast segment frames --box 200,120,80,160 --box 40,60,30,30 -o two --overlay
        maskcast segment dog.mp4 --masks first.png --masks 00120.png -o dog

    Args:
        video: a video file, or a folder of frames (jpg, png) in name order.
        masks: a mask file or a folder of them: pixel value = object id, 0 = background. A file
            named like a frame, or by its index (00012.png), belongs to that frame; a single file
            of another name to the first frame.
        box: [[FRAME:]ID:]X,Y,WIDTH,HEIGHT in pixels; (X, Y) is the top left corner.
        weights: name or file; they say which method to run. Default: lwl-small, inside the package.
        method: a method's name, to take its default weights.
        option: NAME=VALUE, a setting of the method; maskcast info METHOD lists them.
        output: the run folder.
        start: the first frame wanted, as a number or a time (12.5s, 1:02).
        end: the first frame no longer wanted, likewise.
        direction: both: from a mask in the middle go backward too; this fills the frames before an
            object's first mask. It can be added to a run that went forward.
        on_bad_frame: stop at a frame that cannot be read, or hold the one before it in its place.
            A run that has stopped goes on with hold.
        mask_threshold: for grey masks with soft edges: from this value on (1 to 255) a pixel
            belongs to the one object, id 1.
        probabilities: write soft masks too, probs/ID/FRAME.png in 16 bits.
        exports: what else is made, from the finished masks.
        overwrite: delete what an earlier run left in the output folder.
        device: auto (an accelerator if there is one), cpu, cuda, a certain card (cuda:1) or mps.
        dtype: of the network's computation; float32 is float32 on a GPU too, without TF32.
        threads: processor threads; the default is torch's.
        deterministic: the same bits in every run on a GPU; slower.
        save_frames: after at most so many frames the state is saved, to go on from.
        save_seconds: or after at most so many seconds.
        keep_every: save and keep the state after every so many frames, beside the first and the
            last two, so that a later correction costs few frames.
    """
    from maskcast.cli.progress import TerminalProgress
    from maskcast.core.files import alone_in
    from maskcast.core.types import Box
    from maskcast.io.prompts.reading import read_prompts
    from maskcast.io.video import open_frames
    from maskcast.methods.spec import SegmenterSpec
    from maskcast.runs.exports import export
    from maskcast.runs.fingerprint import fingerprint, prompt_fingerprints
    from maskcast.runs.opening import open_run
    from maskcast.runs.request import RunRequest
    from maskcast.runs.segmentation import SavePolicy, segment_into

    _set_up(threads=threads, deterministic=deterministic)
    policy = SavePolicy(frames=save_frames, seconds=save_seconds, keep_every=keep_every)
    frames = open_frames(video, start=start, end=end, on_bad_frame=on_bad_frame)
    _refuse_to_write_over((video, *masks), output, frames.names)
    given = read_prompts(
        masks,
        box,
        names=frames.names,
        size=frames.size,
        first=frames.first,
        mask_threshold=mask_threshold,
    )
    for line in given.report:
        say(line)
    spec = SegmenterSpec(
        weights=weights, method=method, options=options_from(option), device=device, dtype=dtype
    )
    marks = [mark for prompts in given.by_frame.values() for mark in prompts.values()]
    with TerminalProgress() as progress:
        built = spec.build(progress=progress)
        identity = built.identity(uses_boxes=any(isinstance(mark, Box) for mark in marks))
        request = RunRequest(
            method=identity.method,
            weights=identity.weights or "",
            weights_sha256=identity.weights_sha256 or "",
            box_start=identity.box_start,
            options=dict(identity.options),
            settings={"start": start, "end": end, "direction": direction, "dtype": identity.dtype}
            | {"on_bad_frame": on_bad_frame, "deterministic": deterministic}
            | ({"probabilities": True} if probabilities else {}),
            input=str(video),
            input_sha256=fingerprint(video),
            prompts=prompt_fingerprints(given.by_frame),
        )
        with alone_in(output):
            run = open_run(
                output,
                request,
                frame_name=frames.names.__getitem__,
                count=frames.count,
                overwrite=overwrite,
            )
            card = segment_into(
                run,
                built.segmenter,
                frames.frames,
                given.by_frame,
                frames_backward=frames.frames_backward if direction == "both" else None,
                count=frames.count,
                device=built.device,
                policy=policy,
                probabilities=probabilities,
                progress=progress,
            )
            made = export(run, frames, exports, progress=progress)
    print(_summary(output, card))
    for path in made:
        print(path)


def _refuse_to_write_over(sources: Iterable[Path], output: Path, names: Container[str]) -> None:
    from maskcast.runs.export_record import EXPORTS
    from maskcast.runs.folder import PROBABILITIES

    folder = _followed(output)
    for source in sources:
        place = _followed(source)
        is_painted = place.parent == folder and place.suffix == ".png" and place.stem in names
        is_made = any(place.is_relative_to(folder / made) for made in (EXPORTS, PROBABILITIES))
        if place == folder or is_painted or is_made:
            raise UsageError(
                f"{source} would be written over; copy it, or choose another folder with -o"
            )


def _followed(path: Path) -> Path:
    """Follow links; those that go round stay, which ``Path.resolve`` has no sentence for."""
    return Path(os.path.realpath(path))


def _set_up(*, threads: int | None, deterministic: bool) -> None:
    import torch

    from maskcast.cli.heap import keep_freed_memory
    from maskcast.core.device import make_deterministic

    if threads is not None and threads < 1:
        raise UsageError(f"--threads is at least 1, got {threads}")
    torch.set_num_threads(threads or torch.get_num_threads())
    keep_freed_memory()
    if deterministic:
        make_deterministic()


def _summary(output: Path, card: RunCard) -> str:
    rate = card.steps / card.seconds.total if card.seconds.total else 0.0
    return f"{output}: masks of {card.frames} frames, {rate:.1f} frames per second"
