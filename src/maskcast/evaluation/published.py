"""Figures printed in papers, each with its source, to compare with the scores of a run.

``published.json`` has the tables of the papers. A table has one or more parts, each of one split of
a data set, and a row has the figures of one method in every part. A row of a method of this package
says how to reproduce it: with the weights that the authors released, or with weights that are
trained with a recipe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from maskcast.evaluation.scores import Scores, Tree

SPEED = "frames/s"
"""Column with frames per second, which are not in per cent."""


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """The figures that a paper reports for one method on one split of a data set."""

    name: str
    """Name of the method in the paper, with the training data or kind of prompt if needed."""
    dataset: str
    split: str
    videos: int
    """Number of videos in the split."""
    figures: Mapping[str, float]
    """Figures in per cent, by ``J&F``, ``J``, ``F``, ``J decay``, ``G``, ``J seen``, …"""
    frames_per_second: float | None = None
    paper: str
    table: str
    """Table in the paper, with remarks."""
    group: str = ""
    """Heading of the rows that it belongs to in its table."""
    remark: str = ""
    method: str | None = None
    """Name of the method in the catalogue; None if this package does not have it."""
    weights: str | None = None
    """Name in this package of the published weights that should reproduce the figures."""
    trained: str | None = None
    """Run folder of the weights that reproduce the figures, without released ones."""
    train: tuple[str, ...] = ()
    """Commands that train the weights in ``trained``."""
    init: str = "mask"
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the method for these figures, as ``--option`` accepts them."""
    evaluate: str = ""
    """Further arguments of ``maskcast evaluate``, which select images or videos."""
    quoted: bool = False
    """Whether the figures have a row of their own in another table."""
    ablation: bool = False
    """Whether the row is of a table of ablations."""

    curve: str = ""
    """Curve of the paper's figures that the row belongs to."""

    @property
    def command(self) -> str:
        """Arguments of ``maskcast evaluate`` after data set and root; empty without weights."""
        if self.weights is None:
            return ""
        words = [f"--weights {self.weights}"]
        words += [f"--option {name}={value}" for name, value in self.options.items()]
        return " ".join(words if self.init == "mask" else [*words, f"--init {self.init}"])

    @property
    def steps(self) -> int | None:
        """Number of inner steps of e-OSVOS; None for other rows."""
        return int(self.options["inner_steps"]) if "inner_steps" in self.options else None

    def is_reproduced_by(self, scores: Scores) -> bool:
        """Return whether a run used the weights, prompts and options of this row on all videos."""
        rules, run = scores.tree["protocol"], scores.tree.get("run", {})
        asked = (self.init, dict(self.options), "float32")
        return (
            self._uses_weights(run)
            and (run.get("init"), run.get("options"), run.get("dtype")) == asked
            and (rules["dataset"], rules["split"]) == (self.dataset, self.split)
            and len(scores.videos) == self.videos
            and ("G" not in self.figures or bool(scores.dataset.get("groups")))
            and scores.complete
        )

    def _uses_weights(self, run: Mapping[str, Any]) -> bool:
        """Return whether a run used the released weights, or those in the folder of ``trained``."""
        if self.weights is not None:
            return bool(run.get("published") == self.weights)
        used = PurePath(str(run.get("weights", "")))
        return self.trained is not None and used.parent.name == PurePath(self.trained).name


@dataclass(frozen=True, kw_only=True)
class TablePart:
    """The columns of a table that belong to one split of a data set."""

    dataset: str
    split: str
    videos: int
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A line of a table."""

    name: str
    group: str
    remark: str
    method: str | None
    cells: tuple[PublishedRow | None, ...]
    """Figures by part; None where the paper has none."""


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """A table of a paper."""

    method: str
    """Method of the paper."""
    paper: str
    label: str
    """Name of the table in the paper, such as ``Table 2``."""
    title: str
    rules: tuple[str, ...]
    """Sentences: what the figures measure, on which frames of which edition of the data."""
    parts: tuple[TablePart, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper whose tables are known."""

    name: str
    """Name of its method."""
    figures: tuple[str, ...]
    """Its figures that can be drawn from runs: ``speed``, ``steps`` and ``strips``."""


def papers() -> dict[str, Paper]:
    """Return the papers by the name of their method in the catalogue."""
    entries = _content()["papers"].items()
    return {
        method: Paper(name=entry["name"], figures=tuple(entry["figures"]))
        for method, entry in entries
    }


@cache
def published_tables(method: str | None = None) -> tuple[PublishedTable, ...]:
    """Return the tables of all papers, or of the paper of one method."""
    content = _content()
    tables = [_table(entry, content["sources"]) for entry in content["tables"]]
    return tuple(table for table in tables if method in (None, table.method))


def published_rows(
    dataset: str | None = None, split: str | None = None, *, ablations: bool = False
) -> list[PublishedRow]:
    """Return the published figures of the methods of this package, each once.

    Args:
        dataset: only those of this data set.
        split: only those of this split.
        ablations: whether to include the tables of ablations.
    """
    cells = [cell for table in published_tables() for row in table.rows for cell in row.cells]
    return [
        cell
        for cell in cells
        if cell is not None
        and cell.method is not None
        and not cell.quoted
        and ablations >= cell.ablation
        and dataset in (None, cell.dataset)
        and split in (None, cell.split)
    ]


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


def _content() -> dict[str, Any]:
    text = files(__package__).joinpath("published.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _table(entry: Mapping[str, Any], sources: Mapping[str, str]) -> PublishedTable:
    about = {"paper": sources[entry["source"]], "ablation": entry.get("ablation", False)}
    return PublishedTable(
        method=entry["paper"],
        paper=sources[entry["source"]],
        label=entry["label"],
        title=entry["title"],
        rules=tuple(entry["rules"]),
        parts=tuple(
            TablePart(
                dataset=part["dataset"],
                split=part["split"],
                videos=part["videos"],
                columns=tuple(part["columns"]),
            )
            for part in entry["parts"]
        ),
        rows=tuple(
            _row(row, entry["parts"], {**about, "table": entry["label"]}) for row in entry["rows"]
        ),
    )


def _row(
    entry: Mapping[str, Any], parts: list[Mapping[str, Any]], about: Mapping[str, Any]
) -> TableRow:
    names = ("name", "group", "remark", "method", "init", "options", "quoted", "curve")
    shared = {**about, **{name: entry[name] for name in names if name in entry}}
    remark = entry.get("remark", "")
    shared["table"] = "; ".join([about["table"], *([remark] if remark else [])])
    cells = [
        _cell(entry, index, part, shared) if entry["figures"][index] else None
        for index, part in enumerate(parts)
    ]
    return TableRow(
        name=entry["name"],
        group=entry.get("group", ""),
        remark=remark,
        method=entry.get("method"),
        cells=tuple(cells),
    )


def _cell(
    entry: Mapping[str, Any], index: int, part: Mapping[str, Any], shared: Mapping[str, Any]
) -> PublishedRow:
    printed = zip(part["columns"], entry["figures"][index], strict=True)
    figures = {name: float(value) for name, value in printed if value is not None}
    speed = figures.pop(SPEED, None)
    row = PublishedRow(
        **shared,
        dataset=part["dataset"],
        split=part["split"],
        videos=part["videos"],
        figures=figures,
        frames_per_second=speed,
        evaluate=entry.get("evaluate", part.get("evaluate", "")),
        weights=_of_part(entry.get("weights"), index),
        trained=_of_part(entry.get("trained"), index),
    )
    return replace(row, train=tuple(entry.get("train", ()))) if row.trained else row


def _of_part(value: str | list[str | None] | None, index: int) -> str | None:
    """Return a value that a row states once for all parts, or for each part."""
    return value[index] if isinstance(value, list) else value
