"""``maskcast batch``: segment many videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

from maskcast.cli.arguments import Device, MethodName, Options, WeightsArgument, shown_as
from maskcast.cli.terminal import say, show
from maskcast.core.config import options_from
from maskcast.core.device_names import DeviceName, DtypeName
from maskcast.runs.export_settings import Exports

if TYPE_CHECKING:
    from maskcast.batch.policy import BatchPolicy
    from maskcast.batch.waiting import Choice
    from maskcast.core.segmenter import SegmenterSource

NO_EXPORTS = Exports()
ManifestFile = Annotated[Positional[Path], shown_as("MANIFEST", None)]
BatchFolder = Annotated[Positional[Path], shown_as("FOLDER", None)]
OutputFolder = Annotated[Path, shown_as("FOLDER", None, short="-o")]
RootFolder = Annotated[Path | None, shown_as("FOLDER")]


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """The worker processes of a batch."""

    jobs: Annotated[int | None, shown_as("COUNT")] = None
    """number of worker processes; default: one per GPU and --per-device, else one."""
    per_device: int = 1
    """worker processes per GPU, for the default of --jobs."""
    threads: Annotated[int | None, shown_as("COUNT")] = None
    """CPU threads of each worker; default: cores / jobs. Masks may depend on it in the last bit, so
    it stays the same for the whole batch."""

    def count(self, device: DeviceName) -> int:
        """Return the number of workers on this machine."""
        from maskcast.core.gpus import gpu_count

        return max(gpu_count(device), 1) * self.per_device if self.jobs is None else self.jobs


@dataclass(frozen=True, kw_only=True)
class AttemptOptions:
    """How often videos are tried, and when a batch gives up."""

    attempts: int = 3
    """number of failed attempts after which a video is given up."""
    time_limit: Annotated[str | None, shown_as("TIME")] = None
    """maximum time of work per video, such as 90s, 5m or 2h, over all attempts."""
    stall: Annotated[str, shown_as("TIME", None)] = "5m"
    """time without progress after which a worker is replaced."""
    max_failed: Annotated[str, shown_as("COUNT|PERCENT", None)] = "5%"
    """number of failed videos, or per cent of the rows (at least 20), above which the batch stops.
    """
    retry_failed: bool = False
    """segment videos again that failed in an earlier call."""
    redo_changed: bool = False
    """segment finished videos again whose row or input has changed."""

    def policy(self, *, jobs: int) -> BatchPolicy:
        """Return when attempts end and are repeated."""
        from maskcast.batch.policy import BatchPolicy, seconds_from

        stall = seconds_from(self.stall, "stall")
        return BatchPolicy(jobs=jobs, attempts=self.attempts, stall=stall)

    def choice(self) -> Choice:
        """Return what happens to rows of earlier calls."""
        from maskcast.batch.policy import seconds_from
        from maskcast.batch.waiting import Choice

        limit = self.time_limit
        return Choice(
            retry_failed=self.retry_failed,
            redo_changed=self.redo_changed,
            time_limit=None if limit is None else seconds_from(limit, "time_limit"),
        )


WORKER_OPTIONS, ATTEMPT_OPTIONS = WorkerOptions(), AttemptOptions()


def plan(
    folder: Annotated[Positional[Path], shown_as("FOLDER", None)],
    *,
    output: Annotated[Path, shown_as("FILE", None, short="-o")] = Path("videos.jsonl"),
) -> None:
    """Write a manifest of the videos in a folder that have masks beside them.

    The masks of clip.mp4 are a file or a folder clip, clip_mask or clip_masks beside it or in a
    folder masks. A folder of frames is a video too. Videos without masks are listed.

    Args:
        folder: the folder to search, with the folders in it.
        output: the manifest, JSON lines.
    """
    from maskcast.batch.planning import write_plan
    from maskcast.cli.batch_display import counted

    count, without_masks = write_plan(folder, output)
    if without_masks:
        say("no masks beside these videos", [str(video) for video in without_masks])
    print(f"{output}: {counted(count, 'video')}")


def check(
    manifest: ManifestFile,
    *,
    read: bool = False,
    root: RootFolder = None,
) -> None:
    """List all errors of a manifest.

    Args:
        manifest: JSON lines (.jsonl) or CSV with a header (.csv), one video per row.
        read: also open every video and read its masks.
        root: folder that relative paths start from and no path may leave; default: the folder of
            the manifest, which paths may leave.
    """
    from maskcast.batch.manifest import Manifest
    from maskcast.batch.rows import RowRules
    from maskcast.cli.batch_display import counted

    rules = RowRules(
        folder=(root or manifest.parent).absolute(),
        is_root=root is not None,
        model_fault=_model_fault,
    )
    rows = Manifest(manifest, rules)
    if not read:
        print(f"{manifest}: {counted(len(rows), 'row')}, no errors")
        return
    from maskcast.batch.checking import check_files
    from maskcast.cli.progress import TerminalProgress

    with TerminalProgress() as progress:
        frames = check_files(rows, progress=progress)
    print(f"{manifest}: {counted(len(rows), 'row')}, {counted(frames, 'frame')}, no errors")


def run(
    manifest: ManifestFile,
    *,
    output: OutputFolder,
    root: RootFolder = None,
    weights: WeightsArgument = None,
    method: MethodName = None,
    option: Options = (),
    start: Annotated[str | None, shown_as("FRAME|TIME")] = None,
    end: Annotated[str | None, shown_as("FRAME|TIME")] = None,
    direction: Literal["forward", "both"] = "forward",
    on_bad_frame: Literal["stop", "hold"] = "stop",
    mask_threshold: Annotated[int | None, shown_as("VALUE")] = None,
    exports: Annotated[Exports, tyro.conf.arg(name=""), UseAppendAction] = NO_EXPORTS,
    results: Literal["png", "rle"] = "png",
    device: Device = "auto",
    dtype: DtypeName = "float32",
    deterministic: bool = False,
    workers: Annotated[WorkerOptions, tyro.conf.arg(name="")] = WORKER_OPTIONS,
    shard: Annotated[str, shown_as("INDEX/COUNT", None)] = "0/1",
    scratch: Annotated[Path | None, shown_as("FOLDER")] = None,
    attempts: Annotated[AttemptOptions, tyro.conf.arg(name="")] = ATTEMPT_OPTIONS,
    save_seconds: float = 30.0,
    keep_states: bool = False,
    hash_folders: bool = False,
    limit: Annotated[int | None, shown_as("ROWS")] = None,
    price: Annotated[float | None, shown_as("AMOUNT")] = None,
    metrics: Annotated[Path | None, shown_as("FILE")] = None,
    dry_run: bool = False,
) -> None:
    """Segment the videos of a manifest in worker processes.

    Each finished video is a run folder in FOLDER/videos. A video that cannot be segmented is listed
    in failures.jsonl and does not stop the others. After an interruption of any kind, run the same
    command again to continue. Options of segment are defaults for rows without their own.

    Examples: two worker processes; the first 20 rows and an estimate for all; failed videos again;
    one task of a Slurm array of 64:
        maskcast batch run clips.jsonl -o out --jobs 2
        maskcast batch run clips.jsonl -o out --jobs 2 --limit 20 --price 3.00
        maskcast batch run out/failures.jsonl -o out --jobs 2 --retry-failed --attempts 5
        maskcast batch run clips.jsonl -o out --shard slurm/64

    Args:
        manifest: JSON lines (.jsonl) or CSV with a header (.csv), one video per row.
        output: the folder of the batch.
        root: folder that relative paths start from and no path may leave; default: the folder of
            the manifest, which paths may leave.
        weights: name or file of the weights, which also select the method.
        method: a method, run with its default weights.
        option: NAME=VALUE, a setting of the method.
        start: first frame to segment, as a number or a time (12.5s, 1:02).
        end: frame or time to stop before, in the same form.
        direction: both also segments backward, to fill the frames before an object's first mask.
        on_bad_frame: stop: the video fails at an unreadable frame; hold: repeat the frame before.
        mask_threshold: lowest grey value (1 to 255) that belongs to the object.
        exports: further results made from the finished masks.
        results: png, one file per frame; rle, run lengths in one file, about a quarter of the size.
        device: auto (the GPUs in turn, if there are any), cpu, cuda, a specific GPU or mps.
        dtype: data type of the network's computation.
        deterministic: use only deterministic algorithms; slower.
        workers: the worker processes.
        shard: INDEX/COUNT: segment only this part of the rows, chosen by their ids; slurm/COUNT and
            kubernetes/COUNT take the index from the environment.
        scratch: folder for unfinished videos and their states, on a fast disk; default: work, in
            the output folder.
        attempts: how often videos are tried.
        save_seconds: save the state, from which a video can resume, at least once per this many
            seconds.
        keep_states: keep saved states in the folders of finished videos, for later corrections.
        hash_folders: put results into 256 folders, for more than 10,000 ids in one folder.
        limit: number of rows, those that come first.
        price: price of an hour of one worker, for the cost.
        metrics: write figures to this file every 15 s, in the text format of Prometheus.
        dry_run: only count what would be segmented.
    """
    from maskcast.batch.batch_run import BatchRequest, plan_batch, run_batch
    from maskcast.batch.job import BatchSettings, ModelChoice, VideoSettings
    from maskcast.batch.shards import parse_shard
    from maskcast.cli.batch_display import BatchDisplay, report_ending

    defaults = VideoSettings(
        start=start,
        end=end,
        direction=direction,
        on_bad_frame=on_bad_frame,
        mask_threshold=mask_threshold,
        model=ModelChoice(weights=weights, method=method, options=options_from(option)),
    )
    settings = BatchSettings(
        form=results,
        device=device,
        dtype=dtype,
        deterministic=deterministic,
        exports=exports,
        keep_states=keep_states,
        hash_folders=hash_folders,
    )
    request = BatchRequest(
        manifest=manifest,
        output=output,
        root=root,
        defaults=defaults,
        settings=settings,
        threads=workers.threads,
        policy=attempts.policy(jobs=workers.count(device)),
        max_failed=attempts.max_failed,
        choice=attempts.choice(),
        shard=parse_shard(shard),
        limit=limit,
        scratch=scratch,
        save_seconds=save_seconds,
        price=price,
        metrics=metrics,
        model_fault=_model_fault,
    )
    if dry_run:
        for name, number in plan_batch(request).items():
            print(f"{name:<14} {number}")
        return
    with BatchDisplay() as display:
        result = run_batch(request, _make_source, watch=display.update)
    report_ending(output, result, is_pilot=limit is not None)


def status(
    folder: BatchFolder,
    *,
    watch: bool = False,
    json: bool = False,
    verify: bool = False,
) -> None:
    """Show how far a batch is, from its journal.

    Args:
        folder: the folder of the batch.
        watch: show it until the batch has ended or Ctrl-C is pressed.
        json: print one JSON object.
        verify: also read the run card of every finished video.
    """
    from maskcast.cli.batch_display import print_status, watch_status

    if watch:
        watch_status(folder)
    else:
        print_status(folder, as_json=json, verify=verify)


def collect(folder: BatchFolder, *, output: OutputFolder) -> None:
    """Join the results of a batch in one archive or one folder of PNGs.

    Args:
        folder: the folder of the batch.
        output: a .tar file, which gets all files as they are, or a new folder, which gets one
            folder of PNG masks per video.
    """
    from maskcast.batch.collecting import collect as collect_results
    from maskcast.cli.batch_display import counted
    from maskcast.cli.progress import TerminalProgress

    with TerminalProgress() as progress:
        count = collect_results(folder, output, progress=progress)
    show(f"{output}: {counted(count, 'video')}")


def _make_source(
    *,
    weights: str | None,
    method: str | None,
    options: Mapping[str, str],
    device: DeviceName,
    dtype: DtypeName,
) -> SegmenterSource:
    """Describe a segmenter; called in worker processes, so that only they load torch."""
    from maskcast.methods.spec import SegmenterSpec

    return SegmenterSpec(
        weights=weights, method=method, options=options, device=device, dtype=dtype
    )


def _model_fault(weights: str | None, method: str | None) -> str | None:
    """Return what is wrong with weights and a method, or None."""
    from maskcast.core.errors import MaskcastError
    from maskcast.io.weights.names import find_weights
    from maskcast.methods.catalogue import METHODS, published_files

    if method is not None and method not in METHODS:
        return f"unknown method {method!r}; choose one of {', '.join(METHODS)}"
    if weights is None:
        return None
    try:
        find_weights(weights, published_files())
    except MaskcastError as error:
        return error.summary
    return None


COMMANDS = {"plan": plan, "check": check, "run": run, "status": status, "collect": collect}
