"""Read and write ``scores.json`` and ``scores.csv``: what was scored, the rules, and all figures.

``docs/scores.md`` describes the schema. Figures are fractions in full precision.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.data.dataset import Dataset, Video
from maskcast.evaluation.score import VideoScores
from maskcast.evaluation.scores_schema import check_scores
from maskcast.metrics.protocols import (
    Figures,
    Group,
    ObjectScores,
    ScoringProtocol,
    average,
    dataset_figures,
)
from maskcast.metrics.statistics import Summary

SCHEMA = "maskcast-scores-1"
"""Version of the schema. It changes when entries change or disappear, not when some are added."""
SCORES_JSON = "scores.json"
SCORES_CSV = "scores.csv"
Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """The content of ``scores.json``."""

    tree: Tree

    @property
    def dataset(self) -> Tree:
        """Figures of the whole data set."""
        entry: Tree = self.tree["dataset"]
        return entry

    @property
    def videos(self) -> Mapping[str, Tree]:
        """Figures by video name."""
        entries: Mapping[str, Tree] = self.tree["videos"]
        return entries

    @property
    def objects(self) -> Mapping[str, Tree]:
        """Figures by ``video_id``, including one value per frame."""
        entries: Mapping[str, Tree] = self.tree["objects"]
        return entries

    @property
    def complete(self) -> bool:
        """Whether every prediction was present and usable and had only known ids."""
        return not any(
            self.tree.get(kind) for kind in ("missing", "faults", "extra_objects", "wrong_names")
        )

    def with_entries(self, **more: Any) -> Scores:
        """Return the same scores with further entries, such as the speed."""
        return Scores({**self.tree, **more})

    def write(self, folder: Path) -> None:
        """Write both files atomically into a folder, which is created if missing.

        Raises:
            OutputError: a file cannot be written.
        """
        text = json.dumps(self.tree, indent=1, ensure_ascii=False)
        write_text(folder / SCORES_JSON, text + "\n")
        write_text(folder / SCORES_CSV, self._csv())

    def _csv(self) -> str:
        buffer = io.StringIO()
        rows = csv.writer(buffer, lineterminator="\n")
        measures = [(m, s) for m in ("J", "F") for s in ("mean", "recall", "decay")]
        rows.writerow(["level", "name", *(f"{m} {s}" for m, s in measures), "J&F", "V", "frames"])
        for level, name, entry in self._levels():
            figures = [entry[m][s] for m, s in measures]
            rows.writerow(
                [level, name, *figures, entry["J&F"], entry.get("V"), entry.get("frames")]
            )
        return buffer.getvalue()

    def _levels(self) -> Iterator[tuple[str, str, Tree]]:
        yield "data set", self.tree["protocol"]["dataset"], self.dataset
        for group, entry in self.dataset.get("groups", {}).items():
            yield "group", group, entry
        for name, entry in self.videos.items():
            yield "video", name, entry
        for name, entry in self.objects.items():
            yield "object", name, entry


def read_scores(path: Path) -> Scores:
    """Read ``scores.json``.

    Args:
        path: the file, or the folder that contains it.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is damaged, or has another schema.
    """
    file = path / SCORES_JSON if path.is_dir() else path
    if not file.is_file():
        raise MissingFileError(
            f"{file} does not exist; score the results first",
            options=("score_results", "evaluate_dataset"),
        )
    try:
        tree = read_json(file)
        schema = tree["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is not a scores.json of maskcast: {error!r}") from error
    if schema != SCHEMA:
        raise DataError(
            f"{file} has schema {schema} but this version reads {SCHEMA}; score the results again"
        )
    try:
        check_scores(tree)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is damaged ({error}); score the results again") from error
    return Scores(tree)


def make_scores(
    dataset: Dataset,
    scored: list[VideoScores],
    protocol: ScoringProtocol,
    *,
    results: str,
    groups: Mapping[str, Group] | None = None,
) -> Scores:
    """Combine the scores of all videos.

    Args:
        dataset: the data set with the ground truth.
        scored: result of ``score_dataset``.
        protocol: the rules used for scoring.
        results: path of the predictions.
        groups: seen or unseen by ``video_id`` (``evaluation.groups``); None if there are no groups.
    """
    videos_by_name = {video.name: video for video in dataset}
    figures: dict[str, Figures] = {}
    objects: dict[str, Tree] = {}
    videos: dict[str, Tree] = {}
    unscored: list[str] = []
    for scores in scored:
        video = videos_by_name[scores.name]
        names = {i: object_name(video, i) for i in scores.objects}
        by_id = {i: curve.figures(varies=protocol.varies) for i, curve in scores.objects.items()}
        counted = [i for i, curve in scores.objects.items() if curve.frame_names]
        unscored += [names[i] for i in by_id if i not in counted]
        for i in counted:
            figures[names[i]] = by_id[i]
            objects[names[i]] = _object_entry(video, i, by_id[i], scores.objects[i])
        if counted:
            average_of_video = average([by_id[i] for i in counted])
            videos[scores.name] = _entry(average_of_video) | {
                "objects": [names[i] for i in counted],
                "frames": max(len(scores.objects[i].frame_names) for i in counted),
            }
    known = None if groups is None else {name: groups[name] for name in figures}
    total = dataset_figures(figures, known)
    of_groups = {group: _entry(entry) for group, entry in total.groups.items()}
    for name, entry in objects.items():
        entry.update({"group": known[name]} if known else {})
    return Scores(
        {
            "schema": SCHEMA,
            "maskcast": version("maskcast"),
            "results": results,
            "dataset": _entry(total.total) | ({"groups": of_groups} if of_groups else {}),
            "videos": videos,
            "objects": objects,
            "missing": [name for scores in scored for name in scores.missing],
            "faults": [fault for scores in scored for fault in scores.faults],
            "wrong_names": [text for scores in scored for text in scores.wrong_names],
            "exchanged_ids": [scores.exchanged for scores in scored if scores.exchanged],
            "extra_objects": {
                object_name(videos_by_name[scores.name], object_id): f"{scores.name}/{frame}"
                for scores in scored
                for object_id, frame in scores.extra_objects.items()
            },
            "unscored": unscored,
            "protocol": _protocol_entry(dataset, protocol, known is not None),
        }
    )


def per_cent(value: float | None) -> str:
    """Format a fraction in per cent with one decimal; None and NaN become a dash."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(100 * value, 1) + 0.0:.1f}"  # adding 0.0 makes −0.0 a plain zero


def object_name(video: Video, object_id: int) -> str:
    """Return ``video_id``, the name of an object within the whole data set."""
    return f"{video.name}_{video.object_names.get(object_id, object_id)}"


def _protocol_entry(dataset: Dataset, protocol: ScoringProtocol, has_groups: bool) -> Tree:
    return {
        "dataset": dataset.name,
        "split": dataset.split,
        "root": str(dataset.root.absolute()),
        **dataset.notes,
        "videos": len(dataset),
        **asdict(protocol),
        "groups": "seen and unseen" if has_groups else None,
    }


def _object_entry(video: Video, object_id: int, figures: Figures, curve: ObjectScores) -> Tree:
    category = video.categories.get(object_id) if video.declared is not None else None
    return _entry(figures) | {
        "video": video.name,
        "id": object_id,
        **({"category": category} if category is not None else {}),
        "frames": len(curve.frame_names),
        "per_frame": {
            "names": list(curve.frame_names),
            "J": curve.J.tolist(),
            "F": curve.F.tolist(),
        },
    }


def _entry(figures: Figures) -> Tree:
    entry: Tree = {"J": _summary(figures.J), "F": _summary(figures.F), "J&F": figures.overall}
    return entry | ({} if figures.V is None else {"V": figures.V})


def _summary(summary: Summary) -> Tree:
    return {"mean": summary.mean, "recall": summary.recall, "decay": summary.decay}
