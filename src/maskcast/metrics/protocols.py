"""The rules of benchmarks: which frames of an object count, and how figures are averaged.

| set                  | frames of an object that count                      | averaged over      |
|----------------------|-----------------------------------------------------|--------------------|
| DAVIS, SA-V, MOSE v1 | after its first frame, without the video's last one | objects            |
| YouTube-VOS          | after its first frame                               | objects, in groups |
| LVOS                 | its own range, without the first and the last frame | objects, in groups |

Objects are grouped by whether their category occurs in the training data (seen) or not (unseen).
"Frames" always means annotated frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from maskcast.core.errors import UsageError
from maskcast.metrics.statistics import Summary, summary, variation

Group: TypeAlias = Literal["seen", "unseen"]
GROUPS: tuple[Group, ...] = ("seen", "unseen")


@dataclass(frozen=True, kw_only=True)
class ScoringProtocol:
    """The rules of one benchmark."""

    name: str
    skip_first: bool = True
    """Whether to skip the frame on which the object's mask was given."""
    skip_last: bool = True
    """Whether to skip the last annotated frame, of the video or of the object's own range."""
    void: Literal["background", "ignored"] = "ignored"
    """Meaning of 255 in the ground truth. The semi-supervised DAVIS tool uses background."""
    grouped: bool = False
    """Whether to average seen and unseen objects separately, then over both groups."""
    varies: bool = False
    """Whether to report V, the variation of an object's score over time (LVOS)."""
    count_extra_objects: bool = False
    """Whether predicted ids that are not in the ground truth count as objects."""

    def counted(
        self,
        annotated: Sequence[int],
        *,
        first_frame: int,
        own_range: Sequence[int] | None = None,
    ) -> tuple[int, ...]:
        """Return the indices of the frames that count for one object.

        Args:
            annotated: annotated frames of the video, in ascending order.
            first_frame: frame on which the object's mask was given.
            own_range: frames that the data set lists for this object, if any.
        """
        frames = [index for index in annotated if index >= first_frame]
        if own_range is not None:
            wanted = set(own_range)
            frames = [index for index in annotated if index in wanted]
            return tuple(frames[int(self.skip_first) : len(frames) - int(self.skip_last)])
        if self.skip_first:
            frames = [index for index in frames if index > first_frame]
        if self.skip_last and frames and frames[-1] == annotated[-1]:
            frames = frames[:-1]
        return tuple(frames)


@dataclass(frozen=True)
class ObjectScores:
    """J and F of one object, with one value per counted frame, in temporal order."""

    frame_names: tuple[str, ...]
    J: Float[np.ndarray, " frames"]
    F: Float[np.ndarray, " frames"]

    def figures(self, *, varies: bool = False) -> Figures:
        """Return the object's mean, recall and decay; NaN if it has no frames."""
        V = variation((self.J + self.F) / 2) if varies else None
        return Figures(summary(self.J), summary(self.F), V)


@dataclass(frozen=True)
class Figures:
    """The figures of an object, a video, a group or a data set, as fractions."""

    J: Summary
    F: Summary
    V: float | None = None
    """Variation over time; None for benchmarks other than LVOS."""

    @property
    def overall(self) -> float:
        """J&F, the mean of both means."""
        return (self.J.mean + self.F.mean) / 2


def average(figures: Sequence[Figures]) -> Figures:
    """Return the unweighted mean of every figure."""

    def mean_of(summaries: Sequence[Summary]) -> Summary:
        return Summary(
            float(np.mean([summary.mean for summary in summaries])),
            float(np.mean([summary.recall for summary in summaries])),
            float(np.mean([summary.decay for summary in summaries])),
        )

    varied = [entry.V for entry in figures if entry.V is not None]
    return Figures(
        mean_of([entry.J for entry in figures]),
        mean_of([entry.F for entry in figures]),
        float(np.mean(varied)) if varied else None,
    )


@dataclass(frozen=True)
class DatasetFigures:
    """The figures of a whole data set, and of its groups if the benchmark has them."""

    total: Figures
    groups: Mapping[Group, Figures]


def dataset_figures(
    objects: Mapping[str, Figures], groups: Mapping[str, Group] | None
) -> DatasetFigures:
    """Average over objects; with groups, first within each group and then over the groups.

    Args:
        objects: figures by object name; at least one.
        groups: group of each object by name; None averages over all objects.
    """
    if groups is None:
        return DatasetFigures(average(list(objects.values())), {})
    by_group: dict[Group, Figures] = {}
    for group in GROUPS:
        members = [figures for name, figures in objects.items() if groups[name] == group]
        if members:
            by_group[group] = average(members)
    return DatasetFigures(average(list(by_group.values())), by_group)


def with_choices(
    protocol: ScoringProtocol,
    *,
    skip_first: bool | None = None,
    skip_last: bool | None = None,
    count_extra_objects: bool = False,
) -> ScoringProtocol:
    """Return the protocol with some rules changed; None keeps a rule.

    Raises:
        UsageError: extra objects cannot be counted, because the protocol averages over groups.
    """
    if count_extra_objects and protocol.grouped:
        raise UsageError(
            f"{protocol.name} averages over groups, and extra ids belong to none",
            options=("count_extra_objects",),
        )
    protocol = replace(protocol, count_extra_objects=count_extra_objects)
    if skip_first is not None:
        protocol = replace(protocol, skip_first=skip_first)
    if skip_last is not None:
        protocol = replace(protocol, skip_last=skip_last)
    return protocol
