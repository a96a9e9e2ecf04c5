"""``maskcast bench``: measure the cost of a frame, relative to a yardstick timed in the same run.

The yardstick Y is one forward pass of torchvision's plain ResNet-50 trunk at 480×832, in float32
and channels_last, on the same device and with the same number of threads.
"""

from __future__ import annotations

import json as json_format
import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from maskcast.cli.arguments import Device, MethodName, shown_as
from maskcast.core.errors import UsageError
from maskcast.core.numbers import counted

if TYPE_CHECKING:
    import torch

    from maskcast.bench.benchmarked import Benchmarked, Cases

WARM_UP, REPEATS = 2, 7
WIDEST_TABLE = 100
"""Columns of a printed table, or fewer on a narrower terminal."""


def bench(
    what: Positional[Literal["methods", "metrics"]] = "methods",
    *,
    method: MethodName = None,
    json: Annotated[Path | None, shown_as("FILE")] = None,
    device: Device = "auto",
    threads: Annotated[int | None, shown_as("COUNT")] = None,
) -> None:
    """Measure the speed and memory use of the methods at full size, or of the metrics.

    Times are in milliseconds and in multiples of Y, the time of one forward pass of torchvision's
    ResNet-50 trunk at 480×832 in float32 on the same device with the same number of threads. For
    comparable figures, run nothing else on the machine.

    Args:
        what: methods, or metrics; the metrics are compared with a plain implementation of their
            definition.
        method: measure only this method; default: all methods.
        json: write the figures to this file as well, after every case.
        device: auto (a GPU if there is one), cpu, cuda, a specific GPU (cuda:1) or mps.
        threads: CPU threads; default: chosen by PyTorch.
    """
    import torch

    from maskcast.bench.stopwatch import median_ms
    from maskcast.core.device import choose_device, make_float32_exact, name_of, set_threads
    from maskcast.core.files import write_text

    if what == "metrics" and method is not None:
        raise UsageError("maskcast bench metrics takes no --method")
    set_threads(threads)
    logging.getLogger("maskcast").setLevel(logging.INFO)  # fine-tuning takes minutes
    chosen = choose_device(device)
    make_float32_exact()
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "device": name_of(chosen)}

    def keep() -> None:
        if json is not None:
            write_text(json, json_format.dumps(figures, indent=2) + "\n")

    if what == "metrics":
        figures["metrics"] = _metrics()
        _show("metrics", figures["metrics"])
    else:
        benches = _benches(method)
        figures["Y_ms"] = yardstick_ms(chosen)
        used = counted(figures["threads"], "thread")
        print(f"Y = {figures['Y_ms']:.1f} ms on {figures['device']}, {used}")
        write_ms = median_ms(_writing_ms, warm_up=WARM_UP, repeats=REPEATS)
        for name, measure in benches.items():
            figures[name] = {}
            for case, values in measure(chosen, figures["Y_ms"]):
                figures[name][case] = _measured({**values, "write": write_ms})
                keep()  # a run that is stopped later has not been in vain
            _show(name, figures[name])
    keep()


def yardstick_ms(device: torch.device) -> float:
    """Return Y: the median time of one forward pass of the plain ResNet-50 trunk."""
    from maskcast.bench.stopwatch import median_ms
    from maskcast.bench.yardstick import Yardstick

    return median_ms(Yardstick(device), warm_up=WARM_UP, repeats=REPEATS)


def _measured(figures: Mapping[str, float]) -> dict[str, float]:
    """Drop figures that are NaN: this system cannot measure them."""
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _writing_ms() -> float:
    """Return the time in milliseconds to encode one label map as PNG."""
    import torch

    from maskcast.bench.stopwatch import time_ms
    from maskcast.bench.synthetic import FRAME_SIZE, rectangle
    from maskcast.io.label_maps import encode_label_map

    mask = rectangle(FRAME_SIZE, top=100, left=200, height=200, width=200)
    label_map = mask.to(torch.int64)
    return time_ms(lambda: encode_label_map(label_map.numpy()), torch.device("cpu"))


def _benches(method: str | None) -> Mapping[str, Benchmarked]:
    """Return the benchmark of one method, or of every method that has one."""
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
    return {case: _measured(values) for case, values in bench().items()}


def _show(title: str, cases: Cases) -> None:
    """Print one table for the cases that have the same figures."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=min(shutil.get_terminal_size((WIDEST_TABLE, 24)).columns, WIDEST_TABLE))
    alike: dict[tuple[str, ...], list[str]] = {}
    for case, values in cases.items():
        alike.setdefault(tuple(values), []).append(case)
    for columns, names in alike.items():
        table = Table("case", *columns, title=title)
        for case in names:
            table.add_row(case, *(f"{cases[case][column]:.2f}" for column in columns))
        console.print(table)
