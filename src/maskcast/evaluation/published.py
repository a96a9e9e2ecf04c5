"""Figures printed in the papers, for a row beside one's own; each with its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
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
    source: str
    """Paper and table."""
    weights: str | None = None
    """The published weights that should give these figures, by their name here."""
    init: str = "mask"


def published_rows(dataset: str | None = None, split: str | None = None) -> list[PublishedRow]:
    """Return the published figures, all or those of one data set and split."""
    content = json.loads(files(__package__).joinpath("published.json").read_text("utf-8"))
    rows = [_row(entry, content["sources"]) for entry in content["rows"]]
    return [row for row in rows if dataset in (None, row.dataset) and split in (None, row.split)]


_WORDS = {"method", "name", "dataset", "split", "videos", "source", "place", "weights", "init"}


def _row(entry: Mapping[str, object], sources: Mapping[str, str]) -> PublishedRow:
    figures = {name: float(str(value)) for name, value in entry.items() if name not in _WORDS}
    weights = entry.get("weights")
    return PublishedRow(
        method=str(entry["method"]),
        name=str(entry["name"]),
        dataset=str(entry["dataset"]),
        split=str(entry["split"]),
        videos=int(str(entry["videos"])),
        figures=figures,
        source=f"{sources[str(entry['source'])]}, {entry['place']}",
        weights=None if weights is None else str(weights),
        init=str(entry.get("init", "mask")),
    )
