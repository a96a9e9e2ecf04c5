"""Measure the time of a fine-tuning step and of a frame, on a fixed workload at the published size.

The workload is one object in a 480×854 video (749×1333 in the network), with random weights and
batch size 1. A step has 256 anchors and 512 regions, ``POSITIVES`` of them positive. A frame has
1000 proposals and a score threshold of 0, so that there is one mask. Times are also given in units
of the yardstick Y, one pass of torchvision's ResNet-50 trunk at 480×832 in float32, measured after
every repetition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from maskcast.bench.memory import peak_mib, reset_peak
from maskcast.bench.stopwatch import time_ms
from maskcast.bench.synthetic import FRAME_SIZE, rectangle, synthetic_frame
from maskcast.bench.yardstick import Yardstick
from maskcast.core.randomness import generator_of, seeded
from maskcast.core.types import Frame, Mask
from maskcast.methods.eosvos.box_propagation import jittered_boxes
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig
from maskcast.methods.eosvos.inner_loop import gradients_of, inner_step, learned_start_of
from maskcast.methods.eosvos.mask_rcnn import Features, Outlook
from maskcast.methods.eosvos.method import build
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter
from maskcast.methods.eosvos.targets import corners_of, make_target

log = logging.getLogger(__name__)

OBJECT = {"top": 150, "left": 300, "height": 180, "width": 220}
POSITIVES = 16
"""Number of positive regions of a step; the sampler allows up to 128."""
POSITIVE_OVERLAP = 0.5
REPEATS = 3
"""Repetitions after one warm-up."""
VIDEO_LENGTH = 67
"""Frames of a whole run, the mean of DAVIS 2017 val; fine-tuning is part of the time per frame."""
NETWORK = MaskRCNNConfig(score_threshold=0.0)


def bench(device: torch.device, yardstick_ms: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure steps and frames on a device, each case when it is asked for.

    All cases together take about two minutes on two CPU cores.

    Args:
        device: device to measure on.
        yardstick_ms: Y before the first case, in milliseconds.

    Yields:
        name and values of each case: ``ms``, ``total_Y`` and ``peak_mib``; on CUDA also frames per
        second of whole runs, including fine-tuning and adaptation.
    """
    yardstick = Yardstick(device)
    works: dict[str, Callable[[], Callable[[], object]]] = {
        "step_float32": lambda: step_work(device),
        "step_recompute_float32": lambda: step_work(device, recompute=True),
        "frame_float32": lambda: frame_work(device),
    }
    for name, work_of in works.items():
        yield name, _measure(name, work_of(), device, yardstick, yardstick_ms)
    if device.type == "cuda":
        plain = EOSVOSConfig(inner_steps=10)
        adapting = EOSVOSConfig(inner_steps=50, online_adaptation=True)
        yield "e-OSVOS-10", measure_video(device, plain, frames=VIDEO_LENGTH)
        yield "e-OSVOS-50-OnA", measure_video(device, adapting, frames=VIDEO_LENGTH)


def _measure(
    name: str,
    work: Callable[[], object],
    device: torch.device,
    yardstick: Callable[[], float],
    yardstick_ms: float,
) -> dict[str, float]:
    """Return the time of some work in milliseconds and in units of Y."""
    time_ms(work, device)
    reset_peak(device)
    times, yardsticks = [], [yardstick_ms]
    for repeat in range(REPEATS):
        times.append(time_ms(work, device))
        yardsticks.append(yardstick())
        log.info("%s: %d of %d, %.0f ms", name, repeat + 1, REPEATS, times[-1])
    ms = median(times)
    return {"ms": ms, "total_Y": ms / median(yardsticks), "peak_mib": peak_mib(device)}


def step_work(device: torch.device, *, recompute: bool = False) -> Callable[[], None]:
    """Return one fine-tuning step: losses, gradients and the update of all tensors."""
    network = _network(device)
    rates = [rate.detach() for rate in learned_start_of(network).to(device).rates()]
    parameters = network.trained()
    batch = network.prepare([the_frame().to(device)], [make_target(the_mask().long().to(device))])
    _set_positives(network, batch.targets[0]["boxes"])

    def step() -> None:
        with seeded(0, device):
            _, gradients = gradients_of(network, batch, recompute=recompute)
        inner_step(parameters, gradients, rates)

    return step


def _set_positives(network: ObjectNetwork, box: Tensor) -> None:
    """Replace the proposals so that ``POSITIVES`` of them overlap the object and no others do."""
    propose: Callable[[ImageList, Features], Outlook] = network.rpn.propose

    def with_positives(images: ImageList, features: Features) -> Outlook:
        outlook = propose(images, features)
        size = tuple(images.tensors.shape[-2:])
        near = jittered_boxes(box.cpu(), POSITIVES - 1, size, generator_of(0)).to(box)
        (found_boxes,) = outlook.proposals
        elsewhere = found_boxes[box_iou(found_boxes, box)[:, 0] < POSITIVE_OVERLAP]
        return replace(outlook, proposals=[torch.cat([elsewhere, near])])

    network.rpn.propose = with_positives  # type: ignore[method-assign]


def frame_work(device: torch.device) -> Callable[[], object]:
    """Return the inference of one frame; half of the proposals are copies of the previous box."""
    network = _network(device)
    frame, box = the_frame().to(device), corners_of(the_mask())
    assert box is not None
    near = box.to(device)
    return lambda: network.detect(frame, near, generator=generator_of(0))


def measure_video(device: torch.device, config: EOSVOSConfig, *, frames: int) -> dict[str, float]:
    """Return the frames per second of a whole run on one object, including fine-tuning."""
    config = replace(config, network=NETWORK)
    segmenter = build(config, None, device=device)
    _follow(build(replace(config, inner_steps=1), None, device=device), 2)  # loads kernels
    ms = time_ms(partial(_follow, segmenter, frames), device)
    return {"ms": ms / frames, "frames_per_second": 1000 * frames / ms}


def _follow(segmenter: EOSVOSSegmenter, frames: int) -> None:
    frame, mask = the_frame(), the_mask()
    state = segmenter.start()
    for index in range(frames):
        state, _ = segmenter.step(state, frame, {1: mask} if index == 0 else {})


def _network(device: torch.device) -> ObjectNetwork:
    with seeded(0):
        network = ObjectNetwork(NETWORK)
    network.to(device).to(memory_format=torch.channels_last)
    return network


def the_frame() -> Frame:
    """Return the frame, in which the object is bright."""
    return synthetic_frame([(the_mask(), 0.3)], seed=8)


def the_mask() -> Mask:
    """Return the region of the object."""
    return rectangle(FRAME_SIZE, **OBJECT)
