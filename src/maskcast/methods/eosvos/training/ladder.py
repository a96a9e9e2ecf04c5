"""Table 1 and the two figures of the paper: grid search, and curves from finished runs.

    python -m maskcast.methods.eosvos.training.ladder rate --weights FILE --videos FOLDER …
    python -m maskcast.methods.eosvos.training.ladder figures RUN… --output FOLDER

A run is a folder of ``maskcast evaluate``; the number of inner steps is read from its options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import tyro
from markupsafe import Markup
from tyro.conf import Positional

from maskcast.core.config import config_from_dict
from maskcast.core.device import choose_device
from maskcast.core.device_names import DeviceName
from maskcast.core.errors import DataError, UsageError
from maskcast.core.files import write_text
from maskcast.evaluation.scores import read_scores
from maskcast.io.weights.files import write_weights
from maskcast.io.weights.names import read_weights
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.training.config import TaskDataConfig, ValidationConfig
from maskcast.methods.eosvos.training.parent_training import search_rate
from maskcast.methods.eosvos.training.tasks import open_tasks
from maskcast.viz.plots import Axis, colour_of_series, dot, element, polyline, svg, text

WIDTH, BOTTOM, LEFT, TOP, LINE = 480, 260, 52, 16, 14
"""Layout of the figures in pixels: width, ends of the axes, and height of a line of text."""


@dataclass(frozen=True)
class LadderPoint:
    """One scored run, a point of a figure."""

    weights: str
    options: tuple[str, ...]
    """``name=value`` of all options but the inner steps; runs with the same options form a
    curve."""
    inner_steps: int
    score: float
    """J&F, 0..1."""
    frames_per_second: float | None


def rate(
    *,
    weights: str,
    videos: tuple[Path, ...],
    held_out: tuple[str, ...],
    output: Path,
    inner_steps: int = 10,
    every: int = 1,
    device: DeviceName = "auto",
) -> dict[float, float]:
    """Find the best single learning rate for a parent network, and write it with the weights.

    Args:
        weights: weights of a parent network (recipe eosvos-parent or eosvos-small-parent).
        videos: folders of training videos.
        held_out: names of the videos to search with; not those that results are reported on.
        output: file for the weights with the best rate.
        inner_steps: fine-tuning steps on each first frame.
        every: distance between scored frames.
        device: auto (a GPU if there is one), cpu, cuda, a specific GPU (cuda:1) or mps.

    Returns:
        mean J by rate.
    """
    read = read_weights(weights)
    config = config_from_dict(EOSVOSConfig, read.config)
    learned = learned_start_of(ObjectNetwork(config.network), level=config.rate_level)
    learned.load_tensors({name: value.float() for name, value in read.tensors.items()})
    opened = open_tasks(TaskDataConfig(videos=videos, held_out=held_out, all_objects_as_one=True))
    validation = ValidationConfig(inner_steps=inner_steps, every=every)
    similarities = search_rate(
        config, learned.to(choose_device(device)), opened.held_out, validation
    )
    best = max(similarities, key=lambda value: similarities[value])
    learned.stored_rates[0].data.fill_(best)
    write_weights(
        output,
        method="eosvos",
        config=read.config,
        tensors={name: value.cpu() for name, value in learned.state_dict().items()},
        card={**read.card, "grid_search": {f"{value:.2e}": j for value, j in similarities.items()}},
    )
    for value, j in similarities.items():
        print(f"{value:.1e}  J {j:.3f}{'  best' if value == best else ''}")
    return similarities


def figures(runs: Positional[tuple[Path, ...]], *, output: Path) -> list[Path]:
    """Draw J&F over the number of inner steps, and over frames per second, as SVG.

    Args:
        runs: folders of ``maskcast evaluate`` on one data set; runs with the same weights whose
            options differ only in inner_steps form one curve.
        output: folder for ``j-and-f-over-steps.svg`` and ``j-and-f-over-speed.svg``.

    Raises:
        MissingFileError, DataError: a run has no scores or no speed.
        UsageError: no run is given.
    """
    if not runs:
        raise UsageError("no runs given; give the folders of finished evaluations")
    points = [read_point(run) for run in runs]
    timed = [point for point in points if point.frames_per_second]
    pictures = {
        "j-and-f-over-steps.svg": chart(
            points, [float(p.inner_steps) for p in points], "inner steps"
        ),
        "j-and-f-over-speed.svg": chart(
            timed,
            [p.frames_per_second or 0.0 for p in timed],
            "frames per second",
            logarithmic=True,
        ),
    }
    for name, picture in pictures.items():
        write_text(output / name, picture + "\n")
    return [output / name for name in pictures]


def read_point(run: Path) -> LadderPoint:
    """Read the request and the scores of a run.

    Raises:
        DataError: the scores do not contain the request.
    """
    tree = read_scores(run).tree
    try:
        request: Mapping[str, Any] = tree["run"]
        options = {**request["options"]}
        steps = int(options.pop("inner_steps", EOSVOSConfig().inner_steps))
        speed = tree["speed"]["model_frames_per_second"]
        score = float(tree["dataset"]["J&F"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the scores of {run} do not contain the settings of the run; evaluate it again"
        ) from error
    named = tuple(f"{name}={value}" for name, value in sorted(options.items()))
    weights = str(request.get("weights") or request["method"])
    return LadderPoint(_short(weights), named, steps, score, speed)


def _short(weights: str) -> str:
    """Shorten weights given as a file to the name of the file or, if it is generic, the folder."""
    path = Path(weights)
    if path.suffix != ".safetensors":
        return weights
    return path.parent.name if path.stem in ("weights", "best") else path.stem


def chart(
    points: Sequence[LadderPoint], values: Sequence[float], axis: str, *, logarithmic: bool = False
) -> str:
    """Return an SVG: one line per series, a dot and its number of steps per run.

    Args:
        points: the runs.
        values: position of each run along ``axis``.
        axis: label of the axis.
        logarithmic: whether the axis is logarithmic.
    """
    plotted = [max(value, 1e-6) for value in values] if logarithmic else values
    nothing = (1.0, 10.0) if logarithmic else (0.0, 1.0)
    low, high = (min(plotted), max(plotted)) if plotted else nothing
    x = Axis(low, high, LEFT, WIDTH - LEFT, logarithmic)
    y = Axis(*_score_range(points), BOTTOM, TOP)
    shared = set.intersection(*(set(point.options) for point in points)) if points else set()
    names = list(dict.fromkeys(_series(point) for point in points))
    content = _axes(x, y, axis)
    for number, series in enumerate(names):
        colour = colour_of_series(number)
        dots = sorted(
            (x.at(value), y.at(point.score), point.inner_steps)
            for point, value in zip(points, plotted, strict=True)
            if _series(point) == series
        )
        content += _curve(dots, colour)
        weights, options = series
        name = " ".join([weights, *(option for option in options if option not in shared)])
        content += text(LEFT, BOTTOM + (3 + number) * LINE, name, fill=colour)
    end = BOTTOM + (3 + len(names)) * LINE
    if shared:
        content += text(LEFT, end, f"all with {' '.join(sorted(shared))}")
    return svg(
        *(WIDTH, end + LINE, content),
        xmlns="http://www.w3.org/2000/svg",
        font_family="sans-serif",
        font_size=11,
    )


def _series(point: LadderPoint) -> tuple[str, tuple[str, ...]]:
    return point.weights, point.options


def _score_range(points: Sequence[LadderPoint]) -> tuple[float, float]:
    """Return the smallest range with bounds that are multiples of 0.05 around all scores."""
    scores = [point.score for point in points] or [0.0]
    worst, best = floor(20 * min(scores)) / 20, ceil(20 * max(scores)) / 20
    return worst, max(best, worst + 0.05)


def _curve(dots: Sequence[tuple[float, float, int]], colour: str) -> Markup:
    content = polyline([(x, y) for x, y, _ in dots], stroke=colour)
    for x, y, steps in dots:
        content += dot((x, y), 3, fill=colour) + text(x + 5, y - 5, str(steps))
    return content


def _axes(x: Axis, y: Axis, label: str) -> Markup:
    content = element("rect", width="100%", height="100%", fill="white")
    corner = f"M{x.start:g},{y.end:g} V{y.start:g} H{x.end:g}"
    content += element("path", d=corner, fill="none", stroke="black")
    content += text(WIDTH / 2, BOTTOM + LINE, label, text_anchor="middle")
    content += x.end_labels(BOTTOM + LINE, (f"{x.low:.3g}", f"{x.high:.3g}"))
    content += text(LEFT - 6, (TOP + BOTTOM) / 2, "J&F", text_anchor="end")
    for score in (y.low, y.high):
        content += y.value_label(LEFT - 6, score, f"{score:.2f}")
    return content


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"rate": rate, "figures": figures})
