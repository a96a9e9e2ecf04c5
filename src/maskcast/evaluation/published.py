"""Figures printed in the papers, for a row beside one's own; each with its source.

A row whose weights the authors released says with which settings they should give its figures, so
that a run of ``maskcast evaluate`` with these can be set beside it.
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
    """What a paper reports for one method on one split of a data set."""

    method: str
    """As the catalogue of methods names it."""
    name: str
    """As the paper names it, with the training data or the start where they differ."""
    dataset: str
    split: str
    videos: int
    figures: Mapping[str, float]
    """Per cent, by ``J&F``, ``J``, ``F``, ``J decay``, ``G``, ``J seen``, …"""
    paper: str
    place: str
    """Which table of the paper, and what to know about it."""
    weights: str | None = None
    """The published weights that should give these figures, by their name here."""
    init: str = "mask"
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the method that go with them, as ``--option`` takes them."""

    @property
    def command(self) -> str:
        """The arguments of ``maskcast evaluate`` after data set and root; empty without weights."""
        if self.weights is None:
            return ""
        words = [f"--weights {self.weights}"]
        words += [f"--option {name}={value}" for name, value in self.options.items()]
        return " ".join(words if self.init == "mask" else [*words, f"--init {self.init}"])

    def is_reproduced_by(self, scores: Scores) -> bool:
        """Whether a run followed this row: weights, start, options, and all videos, complete."""
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
    """Return the published figures, all or those of one data set and split."""
    content = json.loads(files(__package__).joinpath("published.json").read_text("utf-8"))
    rows = [_row(entry, content["sources"]) for entry in content["rows"]]
    return [row for row in rows if dataset in (None, row.dataset) and split in (None, row.split)]


def figures_of(entry: Tree) -> dict[str, float]:
    """Return an entry of ``scores.json`` by the names that papers use, as fractions."""
    found = {"J&F": entry["J&F"], "G": entry["J&F"]}
    for measure in ("J", "F"):
        summary = entry[measure]
        found[measure] = summary["mean"]
        found[f"{measure} recall"] = summary["recall"]
        found[f"{measure} decay"] = summary["decay"]
        for group, figures in entry.get("groups", {}).items():
            found[f"{measure} {group}"] = figures[measure]["mean"]
    return found


_WORDS = ("method", "name", "dataset", "split", "videos", "weights", "init", "options", "place")


def _row(entry: Mapping[str, Any], sources: Mapping[str, str]) -> PublishedRow:
    words = {name: entry[name] for name in _WORDS if name in entry}
    figures = {
        name: float(value) for name, value in entry.items() if name not in (*_WORDS, "source")
    }
    return PublishedRow(**words, figures=figures, paper=sources[entry["source"]])
