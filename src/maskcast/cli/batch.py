"""``maskcast batch``: segment many videos."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import tyro
from tyro.conf import Positional, UseAppendAction

from maskcast.cli.arguments import EXPORT_GROUPS, Device, shown_as
from maskcast.cli.batch_options import (
    AllowedProtocols,
    AttemptOptions,
    ClusterOptions,
    StoreOptions,
    VideoOptions,
    WorkerOptions,
)
from maskcast.cli.terminal import say, show
from maskcast.core.device_names import DeviceName, DtypeChoice, SharedDtype
from maskcast.runs.export_settings import Exports

if TYPE_CHECKING:
    from maskcast.batch.addresses import Location
    from maskcast.core.segmenter import SegmenterSource

NO_EXPORTS = Exports()
VIDEO_OPTIONS, WORKER_OPTIONS, CLUSTER_OPTIONS = VideoOptions(), WorkerOptions(), ClusterOptions()
ATTEMPT_OPTIONS, STORE_OPTIONS = AttemptOptions(), StoreOptions()
ManifestLocation: TypeAlias = Annotated[Positional[str], shown_as("MANIFEST", None)]
BatchFolder: TypeAlias = Annotated[Positional[str], shown_as("FOLDER", None)]
BatchOutput: TypeAlias = Annotated[str, shown_as("FOLDER", None, short="-o")]
ManifestRoot: TypeAlias = Annotated[str | None, shown_as("FOLDER")]
OPTION_GROUPS = {
    "run": {
        "input": ("--root", "--allow", "--max-input", "--shard", "--limit"),
        "defaults for rows without their own": (
            "--weights",
            "--method",
            "--option",
            "--start",
            "--end",
            "--direction",
            "--on-bad-frame",
            "--mask-threshold",
        ),
        "output": (
            "--output",
            "--results",
            "--rle",
            "--tracks",
            "--annotations",
            "--hash-folders",
            "--scratch",
            "--price",
            "--metrics",
            "--dry-run",
        ),
        **EXPORT_GROUPS,
        "attempts": (
            "--attempts",
            "--time-limit",
            "--stall",
            "--max-failed",
            "--retry-failed",
            "--redo-changed",
        ),
        "resuming": ("--save-seconds", "--save-remote", "--keep-states"),
        "machine": (
            "--device",
            "--dtype",
            "--deterministic",
            "--jobs",
            "--per-device",
            "--threads",
        ),
        "cluster": ("--ray", "--workers", "--trust-network"),
        "other": (),
    }
}
"""Boxes of the help text, by command."""


def plan(
    folder: Annotated[Positional[Path], shown_as("FOLDER", None)],
    *,
    output: Annotated[Path, shown_as("FILE", None, short="-o")] = Path("videos.jsonl"),
) -> None:
    """Write a manifest of the videos in a folder that have masks.

    The masks of clip.mp4 are a file or a folder clip, clip_mask or clip_masks beside it or in a
    folder masks. A folder of frames is a video too. Videos without masks are listed.

    Args:
        folder: the folder to search, with the folders in it.
        output: the manifest, JSON lines.
    """
    from maskcast.batch.planning import write_plan
    from maskcast.core.numbers import counted

    count, without_masks = write_plan(folder, output)
    if without_masks:
        say("no masks beside these videos", [str(video) for video in without_masks])
    print(f"{output}: {counted(count, 'video')}")


def check(
    manifest: ManifestLocation,
    *,
    read: bool = False,
    root: ManifestRoot = None,
    allow: AllowedProtocols = (),
) -> None:
    """List all errors of a manifest.

    Args:
        manifest: JSON lines (.jsonl), CSV with a header (.csv) or Parquet, one video per row; - for
            standard input.
        read: also open every video and read its masks.
        root: folder that relative paths start from and no path may leave; default: the folder of
            the manifest, which paths may leave.
        allow: also accept addresses of this protocol (https).
    """
    from maskcast.batch.manifest import Manifest
    from maskcast.batch.manifest_file import manifest_file
    from maskcast.batch.rows import RowRules
    from maskcast.core.numbers import counted

    with manifest_file(_location(manifest, allow), sys.stdin.buffer.read) as file:
        folder = file.base if root is None else _location(root, allow)
        rules = RowRules(
            folder=folder.absolute() if isinstance(folder, Path) else folder,
            is_root=root is not None,
            allowed=frozenset(allow),
            model_fault=_model_fault,
        )
        rows = Manifest(file.path, rules, name=file.name)
        figures = [counted(len(rows), "row")]
        if read:
            from maskcast.batch.checking import check_files
            from maskcast.cli.progress import TerminalProgress

            with TerminalProgress() as progress:
                figures.append(counted(check_files(rows, progress=progress), "frame"))
    print(f"{file.name}: {', '.join(figures)}, no errors")


def run(
    manifest: ManifestLocation,
    *,
    output: BatchOutput,
    root: ManifestRoot = None,
    videos: Annotated[VideoOptions, tyro.conf.arg(name="")] = VIDEO_OPTIONS,
    exports: Annotated[Exports, tyro.conf.arg(name=""), UseAppendAction] = NO_EXPORTS,
    results: Annotated[Literal["png", "rle", "zip"] | None, shown_as("png|rle|zip")] = None,
    device: Device = "auto",
    dtype: DtypeChoice = "float32",
    deterministic: bool = False,
    workers: Annotated[WorkerOptions, tyro.conf.arg(name="")] = WORKER_OPTIONS,
    cluster: Annotated[ClusterOptions, tyro.conf.arg(name="")] = CLUSTER_OPTIONS,
    stores: Annotated[StoreOptions, tyro.conf.arg(name="")] = STORE_OPTIONS,
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

    The processes run on this machine or on a Ray cluster. Each finished video is a run folder in
    FOLDER/videos. A video that cannot be segmented is listed in failures.jsonl and does not stop
    the others. After an interruption of any kind, run the same command again to continue. Options
    of segment are defaults for rows without their own.

    Examples: two worker processes; the first 20 rows and an estimate for all; failed videos again;
    one task of a Slurm array of 64; 8 to 64 workers of a Ray cluster, inside a Ray job:
        maskcast batch run clips.jsonl -o out --jobs 2
        maskcast batch run clips.jsonl -o out --jobs 2 --limit 20 --price 3.00
        maskcast batch run out/failures.jsonl -o out --jobs 2 --retry-failed --attempts 5
        maskcast batch run clips.jsonl -o out --shard slurm/64
        maskcast batch run clips.jsonl -o /shared/out --ray auto --workers 8:64

    Args:
        manifest: JSON lines (.jsonl), CSV with a header (.csv) or Parquet, one video per row; - for
            standard input.
        output: the folder of the batch, on the disk or in an object store (s3://…, gs://…, az://…).
        root: folder that relative paths start from and no path may leave; default: the folder of
            the manifest, which paths may leave.
        videos: settings of the videos whose rows have none of their own.
        exports: further results made from the finished masks.
        results: png, one file per frame; rle, run lengths in one file, about a quarter of the size;
            default: png, and rle in object stores.
        device: auto (the GPUs in turn, if there are any), cpu, cuda, a specific GPU or mps.
        dtype: data type of the network's computation. auto: that of the batch in the folder; for a
            new batch, bfloat16 with lwl-small if the processor of this machine supports it
            natively, otherwise float32; with --ray float32.
        deterministic: use only deterministic algorithms; slower.
        workers: the worker processes.
        cluster: workers on a Ray cluster.
        stores: videos and results in object stores.
        shard: INDEX/COUNT: segment only this part of the rows, chosen by their ids; slurm/COUNT and
            kubernetes/COUNT take the index from the environment.
        scratch: folder for unfinished videos and their states, on a fast disk; default: work, in
            the output folder, and for object stores a folder in the cache.
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
    from maskcast.batch.job import BatchSettings
    from maskcast.batch.manifest_file import manifest_file
    from maskcast.batch.policy import bytes_from, seconds_from
    from maskcast.batch.shards import parse_shard
    from maskcast.cli.batch_display import BatchDisplay, report_ending

    folder = _location(output, ())
    settings = BatchSettings(
        form=results or ("png" if isinstance(folder, Path) else "rle"),
        device=device,
        dtype="float32" if dtype == "auto" else dtype,
        deterministic=deterministic,
        exports=exports,
        keep_states=keep_states,
        hash_folders=hash_folders,
    )
    request = BatchRequest(
        manifest=Path(),
        output=folder,
        root=None if root is None else _location(root, stores.allow),
        allowed=frozenset(stores.allow),
        largest_input=bytes_from(stores.max_input),
        defaults=videos.settings(),
        settings=settings,
        threads=workers.threads,
        policy=attempts.policy(cluster.counts(workers, device)),
        ray=cluster.cluster(workers, device),
        max_failed=attempts.max_failed,
        choice=attempts.choice(),
        shard=parse_shard(shard),
        limit=limit,
        scratch=scratch,
        save_seconds=save_seconds,
        save_remote=seconds_from(stores.save_remote, "save_remote"),
        price=price,
        metrics=metrics,
        model_fault=_model_fault,
        choose_dtype=partial(_usual_dtype, device, cluster.ray) if dtype == "auto" else None,
    )
    with manifest_file(_location(manifest, stores.allow), sys.stdin.buffer.read) as file:
        request = replace(request, manifest=file.path, base=file.base, manifest_name=file.name)
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
    from maskcast.batch.remote_copy import local_batch
    from maskcast.cli.batch_display import print_status, watch_status

    with local_batch(_location(folder, ()), with_results=verify) as copy:
        if watch:
            watch_status(copy)
        else:
            print_status(copy, as_json=json, verify=verify)


def collect(
    folder: BatchFolder, *, output: Annotated[Path, shown_as("FOLDER", None, short="-o")]
) -> None:
    """Join the results of a batch in an archive, a table or a folder.

    Args:
        folder: the folder of the batch.
        output: a .tar file, which gets all files as they are; a .parquet file, which gets the run
            lengths of all objects, one row per frame; or a new folder, which gets one folder of PNG
            masks per video.
    """
    from maskcast.batch.collecting import collect as collect_results
    from maskcast.batch.remote_copy import local_batch
    from maskcast.cli.progress import TerminalProgress
    from maskcast.core.numbers import counted

    with (
        local_batch(_location(folder, ()), with_results=True) as copy,
        TerminalProgress() as progress,
    ):
        count = collect_results(copy, output, progress=progress)
    show(f"{output}: {counted(count, 'video')}")


def _location(text: str, allowed: tuple[str, ...]) -> Location:
    from maskcast.batch.addresses import location_of

    return location_of(text, allowed=allowed)


def _make_source(
    *,
    weights: str | None,
    method: str | None,
    options: Mapping[str, str],
    device: DeviceName,
    dtype: SharedDtype,
) -> SegmenterSource:
    """Describe a segmenter; called in worker processes, so that only they load torch."""
    from maskcast.methods.precision import dtype_of
    from maskcast.methods.spec import SegmenterSpec

    return SegmenterSpec(
        weights=weights,
        method=method,
        options=options,
        device=device,
        dtype=dtype_of(weights, dtype, method=method),
    )


def _usual_dtype(device: DeviceName, ray: str | None) -> SharedDtype:
    """Return what ``auto`` means for a new batch; on a cluster, whose machines differ, float32."""
    from maskcast.core.gpus import printed_by

    code = f"from maskcast.methods.precision import shared_dtype; print(shared_dtype({device!r}))"
    return "small-bfloat16" if not ray and printed_by(code) == "small-bfloat16" else "float32"


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
