"""What a fine-tuning step and a frame cost: a fixed workload at the full published size.

One object in a 480×854 video (749×1333 in the network), a seeded network, batch 1. Step: 256
anchors, 512 regions of which ``POSITIVES`` are positive. Frame: 1000 proposals, score threshold 0,
so that there is one mask. Costs are also given in units of the yardstick Y, one pass of
torchvision's ResNet-50 trunk at 480×832 in float32, measured by the caller in the same run.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from maskcast.core.types import Frame
from maskcast.methods.eosvos.box_propagation import jittered_boxes
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig
from maskcast.methods.eosvos.inner_loop import gradients_of, inner_step, learned_start_of
from maskcast.methods.eosvos.mask_rcnn import Features, Outlook
from maskcast.methods.eosvos.network import ObjectNetwork, build_network
from maskcast.methods.eosvos.randomness import generator_of, seeded
from maskcast.methods.eosvos.segmenter import build_segmenter
from maskcast.methods.eosvos.targets import tight_box

FRAME_SIZE = (480, 854)
POSITIVES = 16
"""Positive regions of a step; the sampler allows up to 128."""
WARM_UP, REPEATS = 1, 5
NETWORK = MaskRCNNConfig(score_threshold=0.0)


def bench(device: torch.device, yardstick_ms: float) -> dict[str, dict[str, float]]:
    """Measure steps and frames on a device.

    Args:
        device: where to compute.
        yardstick_ms: Y on the same device, in milliseconds.

    Returns:
        by case: ``ms``, ``total_Y`` and ``peak_mib``; on CUDA also frames per second of whole
        runs with fine-tuning and adaptation included.
    """
    cases = {
        "step_float32": measure_step(device),
        "step_recompute_float32": measure_step(device, recompute=True),
        "frame_float32": measure_frame(device),
    }
    for case in cases.values():
        case["total_Y"] = case["ms"] / yardstick_ms
    if device.type == "cuda":
        cases["e-OSVOS-10"] = measure_video(device, EOSVOSConfig(inner_steps=10))
        adapting = EOSVOSConfig(inner_steps=50, online_adaptation=True)
        cases["e-OSVOS-50-OnA"] = measure_video(device, adapting)
    return cases


def measure_step(device: torch.device, *, recompute: bool = False) -> dict[str, float]:
    """One fine-tuning step: losses, gradients and the update of all tensors."""
    network = _network(device)
    rates = [rate.detach() for rate in learned_start_of(network).to(device).rates()]
    parameters = [p for p in network.parameters() if p.requires_grad]
    batch = network.prepare([made_up_frame().to(device)], [made_up_mask().long().to(device)])
    _add_positives(network, batch.targets[0]["boxes"])

    def step() -> None:
        with seeded(0, device):
            _, gradients = gradients_of(network, batch, recompute=recompute)
        inner_step(parameters, gradients, rates)

    return _measure(step, device)


def _add_positives(network: ObjectNetwork, box: Tensor) -> None:
    """Let the proposals hold so many boxes close to the object, and no other positive one."""
    propose: Callable[[ImageList, Features], Outlook] = network.rpn.propose

    def with_positives(images: ImageList, features: Features) -> Outlook:
        outlook = propose(images, features)
        size = tuple(images.tensors.shape[-2:])
        near = jittered_boxes(box.cpu(), POSITIVES - 1, size, generator_of(0)).to(box)
        return replace(outlook, proposals=[torch.cat([own, near]) for own in outlook.proposals])

    network.rpn.propose = with_positives


def measure_frame(device: torch.device) -> dict[str, float]:
    """One frame: half of the proposals are copies of the previous box, one mask is made."""
    network = _network(device)
    frame, box = made_up_frame().to(device), tight_box(made_up_mask())
    assert box is not None
    near = box.to(device)
    return _measure(lambda: network.detect(frame, near, generator=generator_of(0)), device)


def measure_video(
    device: torch.device, config: EOSVOSConfig, *, frames: int = 30
) -> dict[str, float]:
    """Frames per second of a whole run on one object, fine-tuning included."""
    segmenter = build_segmenter(replace(config, network=NETWORK), None, device)
    frame, mask = made_up_frame(), made_up_mask()
    began = time.perf_counter()
    state = segmenter.start()
    for index in range(frames):
        state, _ = segmenter.step(state, frame, {1: mask} if index == 0 else {})
    _wait(device)
    seconds = time.perf_counter() - began
    return {"ms": 1000 * seconds / frames, "frames_per_second": frames / seconds}


def _network(device: torch.device) -> ObjectNetwork:
    with seeded(0):
        network = build_network(NETWORK)
    network.to(device, memory_format=torch.channels_last)
    return network


def _measure(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    reset_peak(device)
    times = []
    for _ in range(WARM_UP + REPEATS):
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(1000 * (time.perf_counter() - began))
    return {"ms": median(times[WARM_UP:]), "peak_mib": peak_mib(device)}


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def made_up_frame() -> Frame:
    """Smooth noise with a bright rectangle."""
    height, width = FRAME_SIZE
    coarse = torch.rand(1, 3, height // 16, width // 16, generator=generator_of(7))
    frame = torch.nn.functional.interpolate(coarse, FRAME_SIZE, mode="bilinear")[0]
    frame[:, made_up_mask()] += 0.3
    return frame.clamp(0, 1)


def made_up_mask() -> Tensor:
    """The rectangle."""
    mask = torch.zeros(FRAME_SIZE, dtype=torch.bool)
    mask[150:330, 300:520] = True
    return mask


def reset_peak(device: torch.device) -> None:
    """Begin to measure peak memory anew, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def peak_mib(device: torch.device) -> float:
    """Return the peak memory in MiB: of the device, or on a CPU of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
