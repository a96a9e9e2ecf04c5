"""Measure the time per frame on a fixed workload at the published size, split into stages.

The workload is one object in a 480×854 video. In ``full``, the memory holds 32 frames and every
frame runs three learner steps; in ``empty``, it holds two frames. On a GPU, one, three and ten
objects are measured in float32, in bfloat16, in both with CUDA graphs, and in bfloat16 with trunk
and decoder compiled (one and three objects only). Times are also given in units of the yardstick Y,
one pass of torchvision's ResNet-50 trunk at 480×832 in float32, which the caller measures in the
same run.

``shipped_1``, ``shipped_3`` and ``shipped_10`` are what users get: the default weights with their
settings and a full memory. Their times are means over successive frames, because the learner does
not run on every frame, and are those of a whole frame with all objects. On a GPU, each of them is
also measured with CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from statistics import median

import torch

from maskcast.bench.memory import peak_mib, reset_peak
from maskcast.bench.precision import share_differing
from maskcast.bench.stopwatch import Stopwatch, time_ms
from maskcast.bench.synthetic import FRAME_SIZE, rectangle, synthetic_frame
from maskcast.core.config import config_from_dict, with_options
from maskcast.core.device import has_bfloat16
from maskcast.core.types import Frame, LabelMap, Mask
from maskcast.io.weights.names import read_weights
from maskcast.methods.lwl.config import LWLConfig, MemoryConfig
from maskcast.methods.lwl.memory import Memory, Slot
from maskcast.methods.lwl.method import METHOD, build, network_of
from maskcast.methods.lwl.presets import small, ytvos
from maskcast.methods.lwl.segmenter import LWLSegmenter
from maskcast.methods.lwl.state import LWLState, Target

WARM_UP, REPEATS = 2, 7
SHIPPED_FRAMES = 8
"""Number of frames in the mean of a ``shipped`` case; even, because the learner of the small
networks runs on every second frame."""
SHIPPED = ((1, False), (3, False), (3, True), (10, False), (10, True))
"""Number of objects of each ``shipped`` case, and whether they lie close to each other."""
STAGES: Mapping[str, tuple[str, ...]] = {
    "crop": ("crop",),
    "trunk": ("trunk",),
    "target_features": ("target features", "target model"),
    "decoder": ("decoder",),
    "learner": ("learner", "label encoder"),
    "merge": ("presence", "paste", "merge"),
}
"""Columns of the table, and the stages of the segmenter that each of them sums."""


def bench(device: torch.device, yardstick_ms: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure the cases on a device, each when it is asked for.

    Args:
        device: device to measure on.
        yardstick_ms: Y on the same device, in milliseconds.

    Yields:
        name and values of each case: ``ms`` and the columns of ``STAGES``, in milliseconds per
        object and frame; ``frames_per_second`` with all objects; ``total_Y`` and ``learner_Y``, in
        units of Y; ``peak_mib``; and for lower precision ``labels_differing``, the share of labels
        that differ from those of float32. The ``shipped`` cases have ``ms`` of a whole frame, and
        no columns.
    """
    for name, case in _cases(device):
        relative = {"total_Y": case["ms"] / yardstick_ms}
        if "learner" in case:
            relative["learner_Y"] = case["learner"] / yardstick_ms
        yield name, case | relative


def _cases(device: torch.device) -> Iterator[tuple[str, dict[str, float]]]:
    full = ytvos()
    yield "full_float32", measure(full, device, frames=full.memory.size)
    yield "empty_float32", measure(full, device, frames=2)
    yield "small_float32", measure(small(), device, frames=small().memory.size)
    if has_bfloat16(device):
        case = measure(full, device, frames=full.memory.size, dtype=torch.bfloat16)
        yield "full_bfloat16", case | {"labels_differing": labels_differing(full, device)}
    if device.type == "cuda":
        yield from _cases_on_gpu(full, device)
    for objects, overlapping in SHIPPED:
        name = f"shipped_{objects}{'_overlapping' if overlapping else ''}"
        yield name, measure_shipped(device, objects, overlapping=overlapping)
        if device.type == "cuda":
            case = measure_shipped(device, objects, overlapping=overlapping, graphs=True)
            yield f"{name}_graphs", case


def _cases_on_gpu(full: LWLConfig, device: torch.device) -> Iterator[tuple[str, dict[str, float]]]:
    kinds = [("float32", full, torch.float32), ("float32_graphs", with_graphs(full), torch.float32)]
    if has_bfloat16(device):
        kinds += [
            ("bfloat16", full, torch.bfloat16),
            ("bfloat16_graphs", with_graphs(full), torch.bfloat16),
            ("bfloat16_compiled", compiled(full), torch.bfloat16),
        ]
    for objects in (1, 3, 10):
        for name, config, dtype in kinds:
            if objects < 10 or not config.speed.compile:  # compiling takes longest
                case = measure(config, device, objects=objects, dtype=dtype)
                yield f"{objects}_objects_{name}", case


def compiled(config: LWLConfig) -> LWLConfig:
    """Return the settings with trunk and decoder compiled."""
    return replace(config, speed=replace(config.speed, compile=True))


def with_graphs(config: LWLConfig) -> LWLConfig:
    """Return the settings with CUDA graphs."""
    return replace(config, speed=replace(config.speed, cuda_graphs=True))


def measure(
    config: LWLConfig,
    device: torch.device,
    *,
    frames: int = 32,
    objects: int = 1,
    dtype: torch.dtype = torch.float32,
) -> dict[str, float]:
    """Return milliseconds per object and frame, and peak memory, with ``frames`` frames in memory.

    Timing the stages synchronises a GPU after each of them, so the whole step is timed separately
    there.
    """
    watch = Stopwatch(device)
    segmenter = LWLSegmenter(
        network_of(config, None), config, device=device, dtype=dtype, watch=watch
    )
    reset_peak(device)
    state = with_memory_of(started(segmenter, objects), frames - 1, config.memory)

    def times() -> Iterator[float]:
        for frame_index in range(WARM_UP + REPEATS):
            frame = frame_at(frame_index).to(device)
            watch.seconds.clear()
            yield time_ms(partial(segmenter.step, state, frame), device)

    totals, stages = [], []
    for ms in times():
        totals.append(ms)
        stages.append(dict(watch.seconds))
    if device.type != "cpu":
        watch.paused = True
        totals = list(times())
    total = median(totals[WARM_UP:])
    result = {"ms": total / objects, "peak_mib": peak_mib(device)}
    for column, parts in STAGES.items():
        sums = [sum(stage.get(part, 0.0) for part in parts) for stage in stages[WARM_UP:]]
        result[column] = median(sums) * 1000 / objects
    result["frames_per_second"] = 1000 / total
    return result


def measure_shipped(
    device: torch.device, objects: int, *, overlapping: bool = False, graphs: bool = False
) -> dict[str, float]:
    """Return the time of a whole frame with the default weights, in milliseconds.

    Args:
        device: device to compute on.
        objects: number of objects, up to 10.
        overlapping: put the objects close to each other, so that each crop shows most of them.
        graphs: use CUDA graphs.
    """
    segmenter = shipped(device, graphs=graphs)
    reset_peak(device)
    masks = [
        {key: shipped_mask(key, index, overlapping=overlapping) for key in range(1, objects + 1)}
        for index in range(SHIPPED_FRAMES + 2)
    ]
    frames = [synthetic_frame([(m, 0.05 * key) for key, m in of.items()]) for of in masks]
    state, _ = segmenter.step(segmenter.start(), frames[0].to(device), masks[0])
    state, _ = segmenter.step(state, frames[1].to(device))
    config = segmenter.config.memory
    states = [with_memory_of(state, config.size, config)]

    def follow() -> None:
        for frame in frames[2:]:
            states.append(segmenter.step(states.pop(), frame.to(device))[0])

    ms = time_ms(follow, device) / SHIPPED_FRAMES
    return {"ms": ms, "frames_per_second": 1000 / ms, "peak_mib": peak_mib(device)}


def shipped(device: torch.device, *, graphs: bool = False) -> LWLSegmenter:
    """Return a segmenter with the default weights and their settings, if asked with CUDA graphs."""
    weights = read_weights(str(METHOD.default_weights))
    config = config_from_dict(LWLConfig, weights.config)
    config = with_options(config, METHOD.shipped_settings.get(weights.name, {}))
    chosen = with_graphs(config) if graphs else config
    return build(chosen, weights.tensors, device=device)


def shipped_mask(object_id: int, frame_index: int, *, overlapping: bool) -> Mask:
    """Return the square of one of ten objects, which move to the right."""
    row, column = divmod(object_id - 1, 4)
    top, left, gap = (140, 260, 4) if overlapping else (20, 40, 100)
    side = 60
    return rectangle(
        FRAME_SIZE,
        top=top + row * (side + gap),
        left=left + column * (side + gap) + 2 * frame_index,
        height=side,
        width=side,
    )


def labels_differing(config: LWLConfig, device: torch.device, *, frames: int = 4) -> float:
    """Return the share of labels that bfloat16 changes; weights are random, frames synthetic."""
    exact, rounded = (
        _labels(config, device, dtype, frames) for dtype in (torch.float32, torch.bfloat16)
    )
    return share_differing(exact, rounded)


def _labels(
    config: LWLConfig, device: torch.device, dtype: torch.dtype, frames: int
) -> list[LabelMap]:
    segmenter = LWLSegmenter(network_of(config, None), config, device=device, dtype=dtype)
    state, labels = started(segmenter, 1), []
    for frame_index in range(1, frames + 1):
        state, masks = segmenter.step(state, frame_at(frame_index))
        labels.append(masks.label_map())
    return labels


def started(segmenter: LWLSegmenter, objects: int) -> LWLState:
    """Return the state after two frames; the second one has not entered the memory yet."""
    prompts = {object_id: object_mask(object_id) for object_id in range(1, objects + 1)}
    state, _ = segmenter.step(segmenter.start(), frame_at(0), prompts)
    return segmenter.step(state, frame_at(1))[0]


def with_memory_of(state: LWLState, frames: int, config: MemoryConfig) -> LWLState:
    """Return the state with ``frames`` frames in memory, copies of the first one."""
    return LWLState(tuple(_with_memory_of(target, frames, config) for target in state.targets))


def _with_memory_of(target: Target, frames: int, config: MemoryConfig) -> Target:
    memory: Memory = target.memory
    first = memory.slots[0]
    for _ in range(frames - len(memory.slots)):
        copy = Slot(first.x.clone(), first.label.clone(), first.weight.clone())
        memory = memory.insert(copy, config)
    return replace(target, memory=memory)


def frame_at(frame_index: int) -> Frame:
    """Return a frame in which the objects have moved to the right."""
    return synthetic_frame([(object_mask(i, frame_index), 0.1 * i) for i in (1, 2, 3)])


def object_mask(object_id: int, frame_index: int = 0) -> Mask:
    """Return the square of one object; ten fit into the first frame."""
    row, column = divmod(object_id - 1, 3)
    top = (180, 20, 330, 100)[row]
    return rectangle(FRAME_SIZE, top=top, left=260 * column + 20 + 4 * frame_index)
