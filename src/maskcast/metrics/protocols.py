"""Which frames of an object count, and how the objects' figures become those of a data set.

| set          | frames of an object that count                             | averaged over      |
|--------------|------------------------------------------------------------|--------------------|
| DAVIS, SA-V, MOSE v1 | after its own first one, without the video's last one | objects         |
| YouTube-VOS  | after its own first one                                    | objects, in groups |
| LVOS         | of its own range, without the first and the last           | objects, in groups |

The groups are what the training data showed (seen) and what it did not (unseen). "Frames" are
annotated frames throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from maskcast.core.errors import UsageError
from maskcast.metrics.statistics import Summary, summary, variation

Group = Literal["seen", "unseen"]
GROUPS: tuple[Group, ...] = ("seen", "unseen")


@dataclass(frozen=True, kw_only=True)
class ScoringProtocol:
    """The rules of one benchmark."""

    name: str
    skip_first: bool = True
    """Leave out the frame on which the object's mask was given."""
    skip_last: bool = True
    """Leave out the last annotated frame: of the video, or of the object's own range."""
    void: Literal["background", "ignored"] = "ignored"
    """What 255 in the truth is. The semi-supervised DAVIS tool counts it as background."""
    grouped: bool = False
    """Average seen and unseen objects separately, then over both groups."""
    varies: bool = False
    """Report V, how much an object's score varies over time."""
    count_extra_objects: bool = False
    """Treat predicted ids that the truth does not know as objects without truth."""

    def counted(
        self,
        annotated: Sequence[int],
        *,
        first_frame: int,
        own_range: Sequence[int] | None = None,
    ) -> tuple[int, ...]:
        """Return the indices of the frames that count for one object.

        Args:
            annotated: the annotated frames of the video, rising.
            first_frame: where the object's mask was given.
            own_range: the frames that the data set names for this object, if it does.
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
    """J and F of one object, one value per frame that counts, in order of time."""

    frame_names: tuple[str, ...]
    J: Float[np.ndarray, " frames"]
    F: Float[np.ndarray, " frames"]

    def figures(self, *, varies: bool = False) -> Figures:
        """Return the object's mean, recall and decay (NaN without any frame)."""
        V = variation((self.J + self.F) / 2) if varies else None
        return Figures(summary(self.J), summary(self.F), V)


@dataclass(frozen=True)
class Figures:
    """What a table says about an object, a video, a group, or a data set; all fractions."""

    J: Summary
    F: Summary
    V: float | None = None
    """Of LVOS; None where the benchmark has no such figure."""

    @property
    def overall(self) -> float:
        """J&F, the mean of both means."""
        return (self.J.mean + self.F.mean) / 2


def average(figures: Sequence[Figures]) -> Figures:
    """Return the mean of every figure, each entry weighing the same."""

    def mean_of(summaries: Sequence[Summary]) -> Summary:
        return Summary(
            float(np.mean([each.mean for each in summaries])),
            float(np.mean([each.recall for each in summaries])),
            float(np.mean([each.decay for each in summaries])),
        )

    varied = [each.V for each in figures if each.V is not None]
    return Figures(
        mean_of([each.J for each in figures]),
        mean_of([each.F for each in figures]),
        float(np.mean(varied)) if varied else None,
    )


@dataclass(frozen=True)
class DatasetFigures:
    """The figures of a whole data set, and of its groups where the benchmark has them."""

    total: Figures
    groups: Mapping[Group, Figures]


def dataset_figures(
    objects: Mapping[str, Figures], groups: Mapping[str, Group] | None
) -> DatasetFigures:
    """Average over objects; with groups, inside each group first and then over the groups.

    Args:
        objects: by the object's name; at least one.
        groups: which group each object belongs to; None: one average over all.
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
    """Return the protocol with single rules changed; None leaves a rule as it is.

    Raises:
        UsageError: extra objects are to be counted by rules that average over groups.
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
