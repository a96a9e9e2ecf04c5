"""Figures printed in papers, each with its source, to compare with the scores of a run.

If the authors released the weights of a row, the row names the settings that should reproduce its
figures with ``maskcast evaluate``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from maskcast.evaluation.scores import Scores, Tree


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """The figures that a paper reports for one method on one split of a data set."""

    method: str
    """Name of the method in the catalogue."""
    name: str
    """Name of the method in the paper, with the training data or kind of prompt if needed."""
    dataset: str
    split: str
    videos: int
    """Number of videos in the split."""
    figures: Mapping[str, float]
    """Figures in per cent, by ``J&F``, ``J``, ``F``, ``J decay``, ``G``, ``J seen``, …"""
    paper: str
    table: str
    """Table in the paper, with remarks."""
    weights: str | None = None
    """Name in this package of the published weights that should reproduce the figures."""
    init: str = "mask"
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the method for these figures, as ``--option`` accepts them."""

    @property
    def command(self) -> str:
        """Arguments of ``maskcast evaluate`` after data set and root; empty without weights."""
        if self.weights is None:
            return ""
        words = [f"--weights {self.weights}"]
        words += [f"--option {name}={value}" for name, value in self.options.items()]
        return " ".join(words if self.init == "mask" else [*words, f"--init {self.init}"])

    def is_reproduced_by(self, scores: Scores) -> bool:
        """Return whether a run used the weights, prompts and options of this row on all videos."""
        rules, run = scores.tree["protocol"], scores.tree.get("run", {})
        asked = (self.weights, self.init, dict(self.options), "float32")
        return (
            self.weights is not None
            and (run.get("published"), run.get("init"), run.get("options"), run.get("dtype"))
            == asked
            and (rules["dataset"], rules["split"]) == (self.dataset, self.split)
            and len(scores.videos) == self.videos
            and ("G" not in self.figures or bool(scores.dataset.get("groups")))
            and scores.complete
        )


def published_rows(dataset: str | None = None, split: str | None = None) -> list[PublishedRow]:
    """Return all published figures, or those of one data set and split."""
    content = json.loads(files(__package__).joinpath("published.json").read_text("utf-8"))
    rows = [_row(entry, content["sources"]) for entry in content["rows"]]
    return [row for row in rows if dataset in (None, row.dataset) and split in (None, row.split)]


def figures_of(entry: Tree) -> dict[str, float]:
    """Return the figures of an entry of ``scores.json`` by their names in papers, as fractions."""
    by_name = {"J&F": entry["J&F"], "G": entry["J&F"]}
    for measure in ("J", "F"):
        summary = entry[measure]
        by_name[measure] = summary["mean"]
        by_name[f"{measure} recall"] = summary["recall"]
        by_name[f"{measure} decay"] = summary["decay"]
        for group, figures in entry.get("groups", {}).items():
            by_name[f"{measure} {group}"] = figures[measure]["mean"]
    return by_name


_WORDS = ("method", "name", "dataset", "split", "videos", "weights", "init", "options", "table")


def _row(entry: Mapping[str, Any], sources: Mapping[str, str]) -> PublishedRow:
    words = {name: entry[name] for name in _WORDS if name in entry}
    figures = {
        name: float(value) for name, value in entry.items() if name not in (*_WORDS, "source")
    }
    return PublishedRow(**words, figures=figures, paper=sources[entry["source"]])
