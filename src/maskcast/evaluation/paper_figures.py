"""The figures of e-OSVOS's paper from published rows and finished runs.

Figure 1 is quality against speed on DAVIS 2017, and figure 3 is quality against fine-tuning steps.
Runs on other data have charts of their own, because their figures cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

from maskcast.core.numbers import counted
from maskcast.evaluation.paper_charts import ChartPoint, scatter
from maskcast.evaluation.published import PublishedRow, PublishedTable
from maskcast.evaluation.scores import Scores

FIGURE_SET = ("davis2017", "val", 30)
"""Data set, split and number of videos of both figures."""
FRAMES_PER_SECOND = "frames/s"
STEPS = "fine-tuning steps T"
SetKey: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True)
class Chart:
    """A chart and what it shows."""

    picture: Markup
    caption: str
    curves: tuple[str, ...]
    """Names of the curves, in the order of their colours."""


def speed_charts(tables: Sequence[PublishedTable], runs: Mapping[str, Scores]) -> list[Chart]:
    """Return figure 1, and a chart of the runs on every other data set.

    Args:
        tables: tables of the paper.
        runs: scores by name of the run, of any method.
    """
    published = [point for table in tables for point in _published_speeds(table)]
    charts = []
    for key, members in _by_set(runs).items():
        shown = [
            ChartPoint(speed, 100 * scores.dataset["J&F"], name, is_run=True)
            for name, scores in members.items()
            if (speed := scores.tree.get("speed", {}).get("model_frames_per_second"))
        ]
        points = [*published, *shown] if key == FIGURE_SET else shown
        if points:
            where = "Grey and rings: published, with the speed on DAVIS 2016 on other machines. "
            charts.append(_chart(points, FRAMES_PER_SECOND, _caption(key, where)))
    return charts


def steps_charts(tables: Sequence[PublishedTable], runs: Mapping[str, Scores]) -> list[Chart]:
    """Return figure 3, and a chart of the runs on every other data set; see ``speed_charts``."""
    published = [
        ChartPoint(row.steps, row.figures["J&F"], f"{row.figures['J&F']:.1f}", row.curve)
        for row in _rows(tables)
        if row.ablation and row.curve and row.steps
    ]
    charts = []
    for key, members in _by_set(runs).items():
        shown = [
            ChartPoint(
                steps,
                100 * scores.dataset["J&F"],
                f"{100 * scores.dataset['J&F']:.1f}",
                _curve_of(scores),
                is_run=True,
            )
            for scores in members.values()
            if (steps := steps_of(scores))
        ]
        points = [*published, *shown] if key == FIGURE_SET else shown
        if points:
            charts.append(_chart(points, STEPS, _caption(key, "Rings: published (Table 1). ")))
    return charts


def steps_of(scores: Scores) -> int | None:
    """Return the number of steps in the options of a run; None if they do not state it."""
    text = str(scores.tree.get("run", {}).get("options", {}).get("inner_steps", ""))
    return int(text) if text.isdecimal() and int(text) else None


def _published_speeds(table: PublishedTable) -> Iterable[ChartPoint]:
    """Yield the rows of a table that state both J&F on DAVIS 2017 and a speed."""
    for row in table.rows:
        cells = [cell for cell in row.cells if cell is not None]
        speeds = [cell.frames_per_second for cell in cells if cell.frames_per_second]
        scores = [
            cell.figures["J&F"]
            for cell in cells
            if (cell.dataset, cell.split, cell.videos) == FIGURE_SET and "J&F" in cell.figures
        ]
        if speeds and scores:
            yield ChartPoint(speeds[0], scores[0], row.name, next(c.curve for c in cells))


def _rows(tables: Sequence[PublishedTable]) -> list[PublishedRow]:
    cells = [cell for table in tables for row in table.rows for cell in row.cells]
    return [cell for cell in cells if cell is not None]


def _by_set(runs: Mapping[str, Scores]) -> dict[SetKey, dict[str, Scores]]:
    """Group runs by data set, split and number of videos; that of the figures is the first."""
    grouped: dict[SetKey, dict[str, Scores]] = {FIGURE_SET: {}}
    for name, scores in runs.items():
        rules = scores.tree["protocol"]
        key = (str(rules["dataset"]), str(rules["split"]), len(scores.videos))
        grouped.setdefault(key, {})[name] = scores
    return grouped


def _curve_of(scores: Scores) -> str:
    """Return a name for runs that differ only in their steps."""
    run = scores.tree["run"]
    others = [f"{k}={v}" for k, v in sorted(run["options"].items()) if k != "inner_steps"]
    return " ".join([str(run.get("weights")), *others])


def _chart(points: Sequence[ChartPoint], x_name: str, caption: str) -> Chart:
    curves = tuple(dict.fromkeys(point.curve for point in points if point.curve))
    return Chart(scatter(points, x_name, "J&F"), caption, curves)


def _caption(key: SetKey, published: str) -> str:
    dataset, split, videos = key
    where = f"{dataset} {split}, {counted(videos, 'video')}. "
    return where + (published if key == FIGURE_SET else "") + "Filled dots: runs here."
