"""Measure the time per frame on a fixed workload at the published size, split into stages.

The workload is one, three or (on a GPU) ten objects in a 480×854 video, tracked from its first
frame. Times are also given in units of the yardstick Y, one pass of torchvision's ResNet-50 trunk
at 480×832 in float32, which the caller measures in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn

from maskcast.bench.precision import share_differing
from maskcast.bench.stopwatch import Stopwatch, time_ms
from maskcast.bench.synthetic import FRAME_SIZE, rectangle, synthetic_frame
from maskcast.core.device import has_bfloat16
from maskcast.core.types import Frame, LabelMap, Mask
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.method import build
from maskcast.methods.agame.presets import small
from maskcast.methods.agame.segmenter import AgameSegmenter, AgameState

WARM_UP, REPEATS = 1, 4
OBJECTS = {"one": 1, "three": 3}
OBJECTS_ON_GPU = {**OBJECTS, "ten": 10}
STAGES = ("trunk", "appearance", "propagation", "fusion", "decoder")
"""Columns of the table; the rest of the time per frame is padding, merging and pooling."""


def bench(device: torch.device, yardstick_ms: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure the cases on a device, each when it is asked for.

    Args:
        device: device to measure on.
        yardstick_ms: Y on the same device, in milliseconds.

    Yields:
        name and values of each case: ``ms`` and ``total_Y`` per frame with all objects;
        ``frames_per_second``; the milliseconds of each stage; and for lower precision
        ``labels_differing``, the share of labels that differ from those of float32.
    """
    dtypes = {"float32": torch.float32}
    if has_bfloat16(device):
        dtypes["bfloat16"] = torch.bfloat16
    objects = OBJECTS_ON_GPU if device.type == "cuda" else OBJECTS
    for precision, dtype in dtypes.items():
        segmenter = build(AgameConfig(), None, device=device, dtype=dtype)
        for name, count in objects.items():
            case = measure(segmenter, count)
            if (name, precision) == ("three", "bfloat16"):
                case["labels_differing"] = labels_differing(device, dtype)
            yield f"{name}_{precision}", case | {"total_Y": case["ms"] / yardstick_ms}
    case = measure(build(small(), None, device=device), 1)
    yield "small_float32", case | {"total_Y": case["ms"] / yardstick_ms}


def measure(segmenter: AgameSegmenter, objects: int) -> dict[str, float]:
    """Return the median time of a frame in milliseconds, in total and by stage.

    Timing the stages synchronises a GPU after each of them, so the whole step is timed separately
    there.
    """
    state, device = started(segmenter, objects), segmenter.device
    frames = [frame_at(index).to(device) for index in range(1, WARM_UP + REPEATS + 1)]
    totals, stages = [], []
    for frame in frames:
        with watched(segmenter) as seconds:
            totals.append(time_ms(partial(segmenter.step, state, frame), device))
        stages.append(seconds)
    if device.type != "cpu":
        totals = [time_ms(partial(segmenter.step, state, frame), device) for frame in frames]
    result = {
        stage: 1000 * median(seconds[stage] for seconds in stages[WARM_UP:]) for stage in STAGES
    }
    total = median(totals[WARM_UP:])
    return {"ms": total, "frames_per_second": 1000 / total, **result}


@contextmanager
def watched(segmenter: AgameSegmenter) -> Iterator[dict[str, float]]:
    """Collect the seconds spent in each stage of the network inside the block."""
    network, watch = segmenter.network, Stopwatch(segmenter.device)
    assert network.appearance is not None
    calls: list[tuple[str, nn.Module, str]] = [
        (stage, network.get_submodule(stage), "forward")
        for stage in STAGES
        if stage != "appearance"
    ]
    calls += [("appearance", network.appearance, call) for call in ("project", "output", "update")]
    calls += [("propagation", network.get_submodule("propagation"), "part_of_this_frame")]
    with ExitStack() as undo:
        for stage, module, call in calls:
            setattr(module, call, _timed(getattr(module, call), stage, watch))
            undo.callback(delattr, module, call)
        yield watch.seconds


def _timed(call: Callable[..., Any], stage: str, watch: Stopwatch) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        with watch(stage):
            return call(*arguments)

    return timed


def labels_differing(device: torch.device, dtype: torch.dtype, *, frames: int = 4) -> float:
    """Return the share of labels that ``dtype`` changes, with random weights and three objects."""
    exact, rounded = (
        labels(build(AgameConfig(), None, device=device, dtype=kind), 3, frames=frames)
        for kind in (torch.float32, dtype)
    )
    return share_differing(exact, rounded)


def labels(segmenter: AgameSegmenter, objects: int, *, frames: int) -> list[LabelMap]:
    """Return the label maps of the frames after the first one."""
    state, label_maps = started(segmenter, objects), []
    for frame_index in range(1, frames + 1):
        state, masks = segmenter.step(state, frame_at(frame_index))
        label_maps.append(masks.label_map())
    return label_maps


def started(segmenter: AgameSegmenter, objects: int) -> AgameState:
    """Return the state after the first frame of the synthetic video."""
    prompts = {object_id: object_mask(object_id) for object_id in range(1, objects + 1)}
    state, _ = segmenter.step(segmenter.start(), frame_at(0), prompts)
    return state


def frame_at(frame_index: int) -> Frame:
    """Return a frame in which the objects have moved to the right."""
    return synthetic_frame([(object_mask(i, frame_index), 0.1 * i) for i in (1, 2, 3)])


def object_mask(object_id: int, frame_index: int = 0) -> Mask:
    """Return the square of one object; ten fit into the first frame."""
    row, column = divmod(object_id - 1, 4)
    return rectangle(FRAME_SIZE, top=20 + 150 * row, left=20 + 200 * column + 4 * frame_index)
