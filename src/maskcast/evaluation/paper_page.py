"""Write a self-contained HTML page with the tables and figures of a method's paper.

Published figures stand beside those of finished runs, and every figure has its commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcast.core.errors import MaskcastError, UsageError
from maskcast.core.files import write_text
from maskcast.core.numbers import counted
from maskcast.evaluation.paper_commands import PLACEHOLDERS, commands_for
from maskcast.evaluation.paper_figures import Chart, speed_charts, steps_charts, steps_of
from maskcast.evaluation.published import (
    SPEED,
    Paper,
    PublishedRow,
    PublishedTable,
    TablePart,
    TableRow,
    figures_of,
    papers,
    published_tables,
)
from maskcast.evaluation.report import Run, made_with, template_of
from maskcast.evaluation.scores import Scores, per_cent
from maskcast.evaluation.strips import Strip, video_strips
from maskcast.viz.pages import page_style

NOTHING = "–"
"""Shown where the paper prints no figure, or a run has none."""


def write_paper_page(
    method: str, runs: Sequence[Run], output: Path, *, root: Path | None = None
) -> list[str]:
    """Write the page of a paper, and return a line of text for each part that was left out.

    Args:
        method: name of the paper's method.
        runs: finished runs, of any data sets and methods; may be empty.
        output: the HTML file.
        root: folder of the data set of the pictures, if it has moved since the runs were scored.

    Raises:
        UsageError: no paper of this method is known.
        OutputError: the file cannot be written.
    """
    known = papers()
    if method not in known:
        raise UsageError(
            f"no tables of {method!r} are known; available: {', '.join(known)}", options=("paper",)
        )
    paper = known[method]
    tables = published_tables(method)
    by_name = {run.name: run.scores for run in runs}
    has_strips = "strips" in paper.figures
    strips, left_out = _strips(method, runs if has_strips else (), root)
    page = template_of("paper.html").render(
        style=page_style(__package__, "report.css"),
        name=paper.name,
        papers=list(dict.fromkeys(table.paper for table in tables)),
        placeholders=PLACEHOLDERS,
        tables=[_table(table, runs) for table in tables],
        elsewhere=_of_no_table(tables, runs),
        figures=list(_figures(paper, tables, by_name)),
        strips=strips,
        pictures_missing=has_strips and not strips,
    )
    write_text(output, page)
    return left_out + (_without_steps(method, by_name) if "steps" in paper.figures else [])


def _table(table: PublishedTable, runs: Sequence[Run]) -> dict[str, Any]:
    rows = [_row(table, row, runs) for row in table.rows]
    used = {name for row in rows for name in row["runs"]}
    others = [run for run in runs if run.name not in used and _fits(run.scores, table)]
    return {
        "label": table.label,
        "title": table.title,
        "rules": table.rules,
        "parts": [_heading(part) for part in table.parts],
        "columns": [column for part in table.parts for column in part.columns],
        "rows": rows,
        "others": [_other(run, table.parts) for run in others],
    }


def _heading(part: TablePart) -> dict[str, Any]:
    return {
        "words": f"{part.dataset} {part.split}, {counted(part.videos, 'video')}",
        "width": len(part.columns),
    }


def _row(table: PublishedTable, row: TableRow, runs: Sequence[Run]) -> dict[str, Any]:
    """Return a row of a table for the template; ``here`` is None for methods of others."""
    printed: list[str] = []
    here: list[str] = []
    used: list[str] = []
    commands: list[str] = []
    for part, cell in zip(table.parts, row.cells, strict=True):
        printed += _printed(part, cell)
        run = None if cell is None else _reproducing(cell, runs)
        here += _figures_of_run(part, None if run is None else run.scores)
        used += [] if run is None else [run.name]
        commands += () if cell is None else commands_for(cell, table.label)
    return {
        "name": row.name,
        "group": row.group,
        "remark": row.remark,
        "printed": printed,
        "here": here if commands or used else None,
        "runs": list(dict.fromkeys(used)),
        "commands": list(dict.fromkeys(commands)),
    }


def _printed(part: TablePart, cell: PublishedRow | None) -> list[str]:
    if cell is None:
        return [NOTHING] * len(part.columns)
    values: Mapping[str, float | None] = {**cell.figures, SPEED: cell.frames_per_second}
    return [_as_printed(values.get(column)) for column in part.columns]


def _as_printed(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.1f}" if round(value, 1) == value else f"{value:g}"


def _reproducing(cell: PublishedRow, runs: Sequence[Run]) -> Run | None:
    """Return the last run with the weights and settings of a row on all videos."""
    return next((run for run in reversed(runs) if cell.is_reproduced_by(run.scores)), None)


def _figures_of_run(part: TablePart, scores: Scores | None) -> list[str]:
    """Return the figures of a run in the columns of a part; empty without a run."""
    if scores is None:
        return [""] * len(part.columns)
    figures = figures_of(scores.dataset)
    speed = scores.tree.get("speed", {}).get("model_frames_per_second")
    shown = {name: per_cent(value) for name, value in figures.items()}
    shown[SPEED] = NOTHING if speed is None else f"{speed:.2f}"
    if "G" in part.columns and not scores.dataset.get("groups"):
        shown["G"] = NOTHING  # a mean over all objects is another measure
    return [shown.get(column, NOTHING) for column in part.columns]


def _is_of(scores: Scores, part: TablePart) -> bool:
    rules = scores.tree["protocol"]
    return bool((rules["dataset"], rules["split"]) == (part.dataset, part.split))


def _fits(scores: Scores, table: PublishedTable) -> bool:
    return any(_is_of(scores, part) for part in table.parts)


def _other(run: Run, parts: Sequence[TablePart]) -> dict[str, Any]:
    """Return a run that reproduces no row: other weights or settings, or fewer videos."""
    figures: list[str] = []
    videos = len(run.scores.videos)
    of = NOTHING
    for part in parts:
        fits = _is_of(run.scores, part)
        figures += _figures_of_run(part, run.scores if fits else None)
        of = f"{videos} of {counted(part.videos, 'video')}" if fits else of
    return {"name": run.name, "figures": figures, "about": f"{_settings(run.scores)}, {of}"}


def _settings(scores: Scores) -> str:
    options = scores.tree.get("run", {}).get("options", {})
    return ", ".join([made_with(scores), *(f"{name}={value}" for name, value in options.items())])


def _of_no_table(tables: Sequence[PublishedTable], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs on data that no table of the paper has."""
    shown = []
    for run in runs:
        if not any(_fits(run.scores, table) for table in tables):
            rules, figures = run.scores.tree["protocol"], figures_of(run.scores.dataset)
            shown.append(
                {
                    "name": run.name,
                    "figures": [per_cent(figures[name]) for name in ("J&F", "J", "F")],
                    "about": f"{_settings(run.scores)}; {rules['dataset']} {rules['split']}, "
                    f"{counted(len(run.scores.videos), 'video')}",
                }
            )
    return shown


def _figures(
    paper: Paper, tables: Sequence[PublishedTable], runs: Mapping[str, Scores]
) -> Iterator[tuple[str, list[Chart]]]:
    if "speed" in paper.figures:
        yield "Figure 1: quality against speed", speed_charts(tables, runs)
    if "steps" in paper.figures:
        yield "Figure 3: quality against fine-tuning steps", steps_charts(tables, runs)


def _without_steps(method: str, runs: Mapping[str, Scores]) -> list[str]:
    """Return a line of text for each run of a method whose options do not state its steps."""
    return [
        f"{name} is not in the figure of steps, because its options have no inner_steps"
        for name, scores in runs.items()
        if scores.tree.get("run", {}).get("method") == method and steps_of(scores) is None
    ]


def _strips(
    method: str, runs: Sequence[Run], root: Path | None
) -> tuple[list[tuple[str, list[Strip]]], list[str]]:
    """Return the strips of each run of a method, and a reason for each run without pictures."""
    shown, left_out = [], []
    for run in runs:
        if run.scores.tree.get("run", {}).get("method") != method:
            continue
        try:
            shown.append((run.name, video_strips(run.scores, run.masks, root)))
        except MaskcastError as error:
            left_out.append(
                f"no images of {run.name}: {'; '.join([error.summary, *error.details])}"
            )
    return shown, left_out
