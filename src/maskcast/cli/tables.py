"""Print scores as tables on the terminal, in per cent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maskcast.cli.terminal import one_line
from maskcast.evaluation.scores import Scores, per_cent

MOST_VIDEOS = 40
"""Videos in a table; of more than that, only the worst are shown. The files hold all."""


def print_scores(scores: Scores) -> None:
    """Print one row for each video and one for the whole data set."""
    protocol = scores.tree["protocol"]
    title = f"{protocol['dataset']} {protocol['split']}, rules of {protocol['name']}"
    has_variation = "V" in scores.dataset
    table = Table(title=title, title_justify="left")
    table.add_column("")
    names = ["J&F", "J mean", "recall", "decay", "F mean", "recall", "decay"]
    for name in [*names, *(["V"] if has_variation else [])]:
        table.add_column(name, justify="right")
    for name, entry in _rows(scores):
        table.add_row(Text(one_line(name)), *_cells(entry, has_variation))
    table.add_section()
    table.add_row("all", *_cells(scores.dataset, has_variation), style="bold")
    Console().print(table)


def _rows(scores: Scores) -> Iterator[tuple[str, Mapping[str, Any]]]:
    videos = dict(scores.videos)
    if len(videos) > MOST_VIDEOS:
        worst = sorted(videos, key=lambda name: videos[name]["J&F"])[:MOST_VIDEOS]
        videos = {name: videos[name] for name in worst}
    yield from videos.items()
    yield from scores.dataset.get("groups", {}).items()


def _cells(entry: Mapping[str, Any], has_variation: bool) -> list[str]:
    figures = [entry["J&F"]]
    figures += [entry[m][s] for m in ("J", "F") for s in ("mean", "recall", "decay")]
    return [per_cent(value) for value in figures + ([entry.get("V")] if has_variation else [])]
