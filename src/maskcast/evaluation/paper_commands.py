"""Commands that reproduce a published figure with this package."""

from __future__ import annotations

import re

from maskcast.data.catalogue import benchmark_of
from maskcast.evaluation.published import PublishedRow

PLACEHOLDERS = {
    "DAVIS, YTVOS": "folders of the data sets",
    "TRUNK": "file with a trunk trained on ImageNet, or by Mask R-CNN for LWL",
    "COCO": "file with torchvision's Mask R-CNN weights",
    "LIST": "file with the names of the held-out videos, one per line",
    "VIDEOS, NAME": "folder of training videos; the ones that the rate search uses",
}
"""Words that stand for files and folders in commands."""


def commands_for(row: PublishedRow, label: str) -> tuple[str, ...]:
    """Return the commands for a figure, in order; none if the package has no way to it.

    Args:
        row: the published figure.
        label: name of its table, for the run folder.
    """
    if row.method is None or not (row.weights or row.trained):
        return ()
    run = f"runs/{_slug(row, label)}"
    weights = row.weights or f"{row.trained}/weights.safetensors"
    root = "DAVIS" if row.dataset.startswith("davis") else "YTVOS"
    benchmark = benchmark_of(row.dataset)
    split = [] if row.split == benchmark.splits[0] else [f"--split {row.split}"]
    data = [row.dataset, f"--root {root}", *split]
    words = ["maskcast evaluate", *data, row.evaluate, f"--weights {weights}"]
    words += [f"--option {name}={value}" for name, value in row.options.items()]
    words += [f"--init {row.init}"] if row.init != "mask" else []
    commands = [*row.train, " ".join(word for word in [*words, f"--output {run}"] if word)]
    if row.split in benchmark.hidden:
        archive = [f"--results {run}/masks", f"--output {run}.zip"]
        commands.append(" ".join(["maskcast submit", *data, *archive]))
    return tuple(commands)


def _slug(row: PublishedRow, label: str) -> str:
    words = f"{row.method} {label} {row.name} {row.dataset} {row.split}".lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")
