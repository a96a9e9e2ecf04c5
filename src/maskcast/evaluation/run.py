"""Run a segmenter on a data set: write masks in the layout of the benchmark, and measure times.

masks/<video>/<frame>.png               or masks/Annotations/… if the benchmark requires it
masks/<video>/<object>/<frame>.png      in data sets with a folder per object
timing/<video>.json                     written last: a video with this file is finished
evaluation.json                         request of the run; other requests need another folder
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maskcast.core.errors import DataError, MaskcastError, PartialResultError, RunConflictError
from maskcast.core.files import path_inside, write_text
from maskcast.core.overlap import InBackground
from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterSource, VideoSegmenter, segment_steps
from maskcast.core.strict_json import read_json
from maskcast.core.types import Frame, ObjectMasks, to_frame
from maskcast.data.catalogue import benchmark_of
from maskcast.data.dataset import Dataset, Video
from maskcast.evaluation.starts import FROM_MASKS, Start, given_prompts
from maskcast.io.label_maps import write_label_map
from maskcast.runs.request import changed_entries, claim

logger = logging.getLogger(__name__)

MASKS = "masks"
TIMING = "timing"
REQUEST = "evaluation.json"


@dataclass(frozen=True)
class ProcessingTime:
    """Processing time of one video, or of several together."""

    frames: int = 0
    object_frames: int = 0
    """Number of objects, summed over the frames."""
    model_seconds: float = 0.0
    total_seconds: float = 0.0
    """Seconds from the first file read to the last file written."""

    def plus(self, other: ProcessingTime) -> ProcessingTime:
        """Return the sum of both times."""
        return ProcessingTime(
            self.frames + other.frames,
            self.object_frames + other.object_frames,
            self.model_seconds + other.model_seconds,
            self.total_seconds + other.total_seconds,
        )


def masks_folder(run: Path, dataset: Dataset) -> Path:
    """Return the folder in a run that has one folder per video, as the benchmark requires."""
    return run / MASKS / (benchmark_of(dataset.name).server_prefix or "")


def segment_dataset(
    source: SegmenterSource,
    dataset: Dataset,
    run: Path,
    *,
    request: Mapping[str, Any],
    start: Start = FROM_MASKS,
    jobs: int = 1,
    progress: Progress | None = None,
) -> ProcessingTime:
    """Segment every unfinished video of a run, and return the processing time of all videos.

    Args:
        source: builds the segmenter, once in every process.
        dataset: opened for segmenting.
        run: the run folder; created if missing.
        request: further values that determine the masks (method, weights, options), as JSON values.
        start: how objects are given on their first frames.
        jobs: worker processes, each with its own copy of the model.
        progress: called after every finished video.

    Raises:
        RunConflictError: the folder holds a different run, or something else.
        MaskcastError: the data set or the segmenter failed; finished videos are kept.
    """
    _claim(run, {**request, "dataset": dataset.name, "split": dataset.split, **start.request})
    done = {video.name: timing for video in dataset if (timing := _finished(run, video))}
    waiting = [video for video in dataset if video.name not in done]
    masks = masks_folder(run, dataset)
    jobs = max(1, min(jobs, len(waiting)))
    make = _in_processes if jobs > 1 else _one_by_one
    for name, timing in make(source, waiting, masks, start, jobs):
        write_text(path_inside(run / TIMING, name, ".json"), json.dumps(asdict(timing)) + "\n")
        done[name] = timing
        if progress is not None:
            progress("videos", len(done), len(dataset))
    total = ProcessingTime()
    for timing in done.values():
        total = total.plus(timing)
    return total


def segment_one(
    segmenter: VideoSegmenter[Any], video: Video, masks: Path, start: Start = FROM_MASKS
) -> ProcessingTime:
    """Segment one video and write its masks to ``masks/<video>``.

    Raises:
        MaskcastError: the video, the segmenter or the disk failed.
    """
    began = time.perf_counter()
    folder = path_inside(masks, video.name)
    prompts = given_prompts(video, start)
    wanted = set(video.wanted_frames)
    model_seconds, object_frames = 0.0, 0
    with InBackground() as background:
        for step in segment_steps(segmenter, _frames(video), prompts):
            model_seconds += step.model_seconds
            object_frames += len(step.masks.ids)
            if step.frame_index in wanted:
                background.do(partial(_write, folder, video, step.frame_index, step.masks))
        background.finish()
    return ProcessingTime(
        video.frame_count, object_frames, model_seconds, time.perf_counter() - began
    )


def read_evaluation_request(run: Path) -> dict[str, Any]:
    """Read the request of a run from ``evaluation.json``.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = run / REQUEST
    try:
        tree = read_json(path)
        return {**tree}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"cannot read the request of an evaluation, {path}: {error}") from error


def speed(timing: ProcessingTime) -> dict[str, float | None]:
    """Return the speed of the model, the end-to-end speed, and the time per object and frame."""
    return {
        "model_frames_per_second": _ratio(timing.frames, timing.model_seconds),
        "end_to_end_frames_per_second": _ratio(timing.frames, timing.total_seconds),
        "model_seconds_per_object_frame": _ratio(timing.model_seconds, timing.object_frames),
    }


def _frames(video: Video) -> Iterator[Frame]:
    for frame_index in range(video.frame_count):
        yield to_frame(video.read_frame(frame_index))


def _write(folder: Path, video: Video, frame_index: int, masks: ObjectMasks) -> None:
    label_map = masks.label_map().cpu().numpy()
    name = video.frame_names[frame_index]
    if video.layout != "object_folders":
        write_label_map(path_inside(folder, name, ".png"), label_map)
        return
    for object_id, object_folder in video.object_names.items():
        mask = (label_map == object_id).astype(np.int32)
        write_label_map(path_inside(folder / object_folder, name, ".png"), mask)


def _one_by_one(
    source: SegmenterSource, videos: list[Video], masks: Path, start: Start, jobs: int
) -> Iterator[tuple[str, ProcessingTime]]:
    if not videos:
        return
    segmenter = source.build().segmenter
    for video in videos:
        yield video.name, segment_one(segmenter, video, masks, start)


def _in_processes(
    source: SegmenterSource, videos: list[Video], masks: Path, start: Start, jobs: int
) -> Iterator[tuple[str, ProcessingTime]]:
    longest_first = sorted(videos, key=lambda video: -video.frame_count)
    threads = max(1, torch.get_num_threads() // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_Worker.begin, initargs=(source, threads)
    ) as pool:
        waiting = {
            pool.submit(_Worker.segment, video, masks, start): video.name for video in longest_first
        }
        try:
            for done in as_completed(list(waiting)):
                timing = done.result()
                yield waiting.pop(done), timing
        except BrokenProcessPool as error:
            raise PartialResultError(
                "a worker process died, usually because memory ran out; finished videos are kept, "
                "continue with fewer processes",
                options=("jobs",),
            ) from error
        except (MaskcastError, KeyboardInterrupt):
            logger.warning("waiting for the videos in progress; their results are kept")
            pool.shutdown(cancel_futures=True)
            for other, name in waiting.items():
                if not other.cancelled() and other.exception() is None:
                    yield name, other.result()
            raise
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Worker:
    """State of a worker process, kept from video to video."""

    source: SegmenterSource
    segmenter: VideoSegmenter[Any] | None = None

    @classmethod
    def begin(cls, source: SegmenterSource, threads: int) -> None:
        torch.set_num_threads(threads)
        cls.source = source

    @classmethod
    def segment(cls, video: Video, masks: Path, start: Start) -> ProcessingTime:
        if cls.segmenter is None:  # here, not in the initializer, whose errors would be lost
            cls.segmenter = cls.source.build().segmenter
        return segment_one(cls.segmenter, video, masks, start)


def _claim(run: Path, request: Mapping[str, Any]) -> None:
    """Write the request to a new run folder, or check that of an existing run.

    Raises:
        RunConflictError: the folder holds a different run, or other files.
    """
    path = run / REQUEST
    has_begun = any((run / name).exists() for name in (MASKS, TIMING))
    differing: list[str] | None = None
    if path.is_file():
        differing = list(changed_entries(_recorded(path), request)) if has_begun else []
    claim(
        run,
        differing,
        kind="evaluation",
        instead="choose a different folder",
        options=("output",),
    )
    if differing is None or not has_begun:
        write_text(path, json.dumps(dict(request), indent=1, ensure_ascii=False) + "\n")


def _recorded(path: Path) -> dict[str, Any]:
    try:
        return read_evaluation_request(path.parent)
    except DataError as error:
        raise RunConflictError(
            f"{path} is damaged; choose a different folder", options=("output",)
        ) from error


def _finished(run: Path, video: Video) -> ProcessingTime | None:
    path = path_inside(run / TIMING, video.name, ".json")
    if not path.is_file():
        return None
    try:
        entry = read_json(path)
        return ProcessingTime(
            **{field.name: _number(entry[field.name]) for field in fields(ProcessingTime)}
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged; delete it to segment the video again") from error


def _number(value: Any) -> Any:
    if not isinstance(value, int | float):
        raise TypeError(value)
    return value


def _ratio(amount: float, seconds: float) -> float | None:
    return amount / seconds if seconds else None
