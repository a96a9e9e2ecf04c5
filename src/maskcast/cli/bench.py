"""``maskcast bench``: what a frame costs, beside a yardstick taken in the same run.

The yardstick Y is one forward pass of torchvision's plain ResNet-50 trunk at 480×832, in float32
and channels_last, on the same device and threads.
"""

from __future__ import annotations

import json as json_format
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from maskcast.cli.arguments import Device, MethodName, shown_as
from maskcast.core.errors import UsageError

if TYPE_CHECKING:
    import torch

    from maskcast.bench.benchmarked import Benchmarked, Cases

WARM_UP, REPEATS = 2, 7


def bench(
    what: Positional[Literal["methods", "metrics"]] = "methods",
    *,
    method: MethodName = None,
    json: Annotated[Path | None, shown_as("FILE")] = None,
    device: Device = "auto",
    threads: Annotated[int | None, shown_as("COUNT")] = None,
) -> None:
    """Measure speed and memory of the methods at full size, or of the metrics, on this device.

    Times are in milliseconds and in Y, one forward pass of torchvision's ResNet-50 trunk at 480×832
    in float32 on the same device and threads. Quiet machines give figures that can be compared.

    Args:
        what: methods, or metrics: these beside a plain transcription of their definition.
        method: only this one; all by default.
        json: write the figures to this file too.
        device: auto, cpu, cuda, a certain card (cuda:1) or mps.
        threads: processor threads; the default is torch's.
    """
    import torch

    from maskcast.bench.stopwatch import median_ms
    from maskcast.core.device import choose_device, make_float32_exact, name_of
    from maskcast.core.files import write_text

    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be at least 1, got {threads}")
    if what == "metrics" and method is not None:
        raise UsageError("maskcast bench metrics takes no --method")
    torch.set_num_threads(threads or torch.get_num_threads())
    logging.getLogger("maskcast").setLevel(logging.INFO)  # fine-tuning takes minutes
    place = choose_device(device)
    make_float32_exact()
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "device": name_of(place)}
    if what == "metrics":
        figures["metrics"] = _metrics()
        _show("metrics", figures["metrics"])
    else:
        benches = _benches(method)
        figures["Y_ms"] = yardstick_ms(place)
        print(f"Y = {figures['Y_ms']:.1f} ms on {figures['device']}, {figures['threads']} threads")
        write_ms = median_ms(_writing_ms, warm_up=WARM_UP, repeats=REPEATS)
        for name, measure in benches.items():
            cases = measure(place, figures["Y_ms"])
            figures[name] = {
                case: _measured({**found, "write": write_ms}) for case, found in cases.items()
            }
            _show(name, figures[name])
    if json is not None:
        write_text(json, json_format.dumps(figures, indent=2) + "\n")


def yardstick_ms(device: torch.device) -> float:
    """Return Y: the median time of one forward pass of the plain ResNet-50 trunk."""
    from maskcast.bench.stopwatch import median_ms
    from maskcast.bench.yardstick import Yardstick

    return median_ms(Yardstick(device), warm_up=WARM_UP, repeats=REPEATS)


def _measured(figures: Mapping[str, float]) -> dict[str, float]:
    """Leave out what this system cannot measure, which is NaN."""
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _writing_ms() -> float:
    """Milliseconds to encode one label map as PNG."""
    import torch

    from maskcast.bench.stopwatch import time_ms
    from maskcast.bench.synthetic import FRAME_SIZE, rectangle
    from maskcast.io.label_maps import encode_label_map

    mask = rectangle(FRAME_SIZE, top=100, left=200, height=200, width=200)
    label_map = mask.to(torch.int64)
    return time_ms(lambda: encode_label_map(label_map.numpy()), torch.device("cpu"))


def _benches(method: str | None) -> Mapping[str, Benchmarked]:
    """Return the benchmark of one method, or of all that have one."""
    from maskcast.methods.benches import BENCHES
    from maskcast.methods.catalogue import METHODS

    if method is None:
        return BENCHES
    if method not in METHODS:
        raise UsageError(
            f"unknown method {method!r}; available: {', '.join(METHODS)}", options=("method",)
        )
    if method not in BENCHES:
        raise UsageError(f"the method {method} has no benchmark")
    return {method: BENCHES[method]}


def _metrics() -> dict[str, dict[str, float]]:
    try:
        from maskcast.bench.metrics import bench
    except ModuleNotFoundError as error:
        if error.name != "cv2":
            raise
        raise UsageError(
            "the benchmark of the metrics requires OpenCV; pip install opencv-python-headless"
        ) from error
    return {case: _measured(found) for case, found in bench().items()}


def _show(title: str, cases: Cases) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for found in cases.values() for name in found))
    table = Table("case", *columns, title=title)
    for case, found in cases.items():
        table.add_row(case, *(f"{found[name]:.2f}" if name in found else "" for name in columns))
    Console(width=max(80, 12 * (len(columns) + 2))).print(table)
