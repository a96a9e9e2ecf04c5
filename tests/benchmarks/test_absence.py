"""``benchmarks/absence``: what is counted, the sliding window, and that a measurement resumes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from absence_clips import Clip, masks_of, synthetic, window_over
from absence_measures import Counts, Track, count
from measure import measure, measure_clip, table

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.segmenter import SegmenterIdentity
from maskcast.core.types import NO_PROMPTS, Box, Frame, ObjectMasks, Prompts

SIZE = (20, 30)
CPU = torch.device("cpu")


def test_absent_visible_and_tiny_objects_are_told_apart() -> None:
    track = Track(1, share=[0.2, 0.0005, 0, 0, 0.001], painted=[0, 0, 4, 0, 9])
    found = count([track, replace(track, share=[0.0] * 5)])
    assert (found.visible, found.lost, found.dropped) == (2, 1, 1)
    assert (found.absent, found.false) == (7, 3)
    assert found.quality is None


def test_a_return_must_be_found_within_five_frames() -> None:
    back = [0.1] * 7
    late = Track(1, share=[0, *back], painted=[0] * 8, J=[1, *[0.4] * 5, 0.9, 0.9], F=[1] * 8)
    in_time = replace(late, J=[1, *[0.4] * 4, 0.5, 0, 0])
    assert [(count([each]).found, count([each]).returns) for each in (late, in_time)] == [
        (0, 1),
        (1, 1),
    ]
    # a sliver of the object neither begins nor ends an absence
    sliver = Track(1, share=[0.1, 0.0005, 0.1, 0, 0.0005, 0.1], painted=[0, 0, 0, 0, 0, 1])
    assert (count([sliver]).found, count([sliver]).returns) == (1, 1)


def test_an_object_that_has_returned_unnoticed_is_lost_but_not_dropped() -> None:
    #            dropped            absent, not found again     found, dropped
    shares = [0.1, 0.1, 0.1, 0.1, 0, 0, 0.1, 0.1, 0.0005, 0.1, 0.1, 0.1]
    painted = [9, 9, 0, 9, 9, 0, 0, 0, 0, 0, 9, 0]
    found = count([Track(1, share=shares, painted=painted)])
    assert (found.lost, found.dropped) == (5, 2)


def test_quality_is_the_mean_over_objects_of_the_mean_over_frames() -> None:
    one = Track(1, share=[0.1], painted=[5], J=[0.8], F=[0.6], has_copies=True, on_copy=[True])
    other = Track(2, share=[0.1] * 2, painted=[5] * 2, J=[0, 1], F=[0, 0], on_copy=[True] * 2)
    found = count([one, other])
    assert found.quality == pytest.approx((0.7 + 0.25) / 2)
    assert (found.wrong, found.with_copies) == (1, 1)


def walker(positions: Sequence[int], *, width: int = 100) -> np.ndarray:
    masks = np.zeros((len(positions), 10, width), np.bool_)
    for mask, left in zip(masks, positions, strict=True):
        mask[3:7, left : left + 10] = True
    return masks


def test_the_window_slides_off_the_object_and_back() -> None:
    masks = walker([20 + frame // 2 for frame in range(40)])
    width, edges = window_over(masks)
    assert 35 <= width <= 60
    inside = [
        int(mask[:, left : left + width].sum()) for mask, left in zip(masks, edges, strict=True)
    ]
    assert [pixels == 40 for pixels in inside[:10]] == [True] * 10
    assert inside[16:27] == [0] * 11  # from 0.4 to 0.65 of the clip
    assert [pixels == 40 for pixels in inside[33:]] == [True] * 7
    assert max(abs(a - b) for a, b in pairwise(edges)) <= 100 / 6


def square(object_id: int, top: int, left: int, side: int = 6) -> LabelArray:
    label_map = np.zeros(SIZE, np.int32)
    label_map[top : top + side, left : left + side] = object_id
    return label_map


@dataclass
class Scripted:
    """A segmenter that finds given label maps; the frame tells which one is next."""

    script: Sequence[LabelArray]
    fails_at: int = -1
    steps: int = 0

    def start(self) -> int:
        return 0

    def step(
        self, state: int, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[int, ObjectMasks]:
        self.steps += 1
        if state == self.fails_at:
            raise KeyboardInterrupt
        label_map = torch.from_numpy(self.script[state])
        probs = torch.stack([(label_map == object_id).float() for object_id in (1, 2)])
        return state + 1, ObjectMasks((1, 2), probs, torch.tensor([0.25, 1.0]))

    def remove_objects(self, state: int, ids: Collection[int]) -> int:
        return state


def clip_of(truths: Sequence[LabelArray | None], **more: Any) -> Clip:
    def shots() -> Iterator[tuple[Picture, LabelArray | None]]:
        for truth in truths:
            yield np.zeros((*SIZE, 3), np.uint8), truth

    return Clip("clip", "group", shots, **more)


BOTH = square(1, 2, 2) + square(2, 10, 20)


def test_a_mask_on_a_copy_is_noticed() -> None:
    clip = clip_of([BOTH, BOTH, square(2, 10, 20), BOTH], copies=((1, 2),))
    found = [BOTH, BOTH, square(1, 10, 20), square(1, 2, 2)]
    one, two = measure_clip(Scripted(found), clip)
    assert one.share == pytest.approx([0.06, 0, 0.06])
    assert one.painted == [36, 36, 36] and two.painted == [36, 0, 0]
    assert one.J == [1, 0, 1] and two.J == [1, 0, 0]
    assert one.on_copy == [False, True, False] and two.on_copy == [False] * 3
    assert one.presence == [0.25] * 3 and two.presence == [1.0] * 3
    counts = count([one, two])
    assert (counts.false, counts.absent, counts.lost) == (1, 1, 2)


def test_by_eye_only_intervals_are_known() -> None:
    boxes = {1: Box(2, 2, 6, 6), 2: Box(20, 10, 6, 6)}
    clip = clip_of([None] * 4, boxes=boxes, absent={1: range(2, 3)})
    one, two = measure_clip(Scripted([BOTH] * 4), clip)
    assert (one.share, two.share) == ([1, 0, 1], [1, 1, 1])
    assert count([one, two]) == Counts(absent=1, false=1, visible=5, returns=1, found=1)


def test_empty_objects_are_not_given() -> None:
    assert list(masks_of(square(2, 0, 0), [1, 2])) == [2]


@dataclass
class Source:
    """Builds a scripted segmenter."""

    segmenter: Scripted
    options: dict[str, str]
    device: torch.device = CPU

    def build(self, *, progress: Any = None) -> Source:
        return self

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        return SegmenterIdentity(
            method="scripted", weights=None, weights_sha256=None, box_start=None,
            options=self.options, dtype="float32",
        )  # fmt: skip


@pytest.fixture
def clips() -> list[Clip]:
    return [replace(clip_of([BOTH] * 3), name=name) for name in ("first", "second")]


def test_an_interrupted_measurement_continues_with_the_clip_it_had_begun(
    tmp_path: Path, clips: list[Clip]
) -> None:
    scripted = Scripted([BOTH] * 3, fails_at=2)
    with pytest.raises(KeyboardInterrupt):
        measure(Source(scripted, {}), [clips[0].cut(2), clips[1]], tmp_path / "a")
    scripted = Scripted([BOTH] * 3)
    result = measure(Source(scripted, {}), clips, tmp_path / "a", made_by={"seed": 0})
    assert scripted.steps == 3  # the first clip was finished
    assert result["counts"]["first"]["visible"] == 2 and result["counts"]["second"]["visible"] == 4
    assert result["counts"]["group"]["visible"] == 6
    assert json.loads((tmp_path / "a" / "result.json").read_text()) == result
    assert (tmp_path / "a" / "masks" / "second" / "00002.png").is_file()
    with pytest.raises(SystemExit, match="another variant"):
        measure(Source(scripted, {"rule": "off"}), clips, tmp_path / "a")


def test_the_table_has_a_line_for_each_variant_and_group(tmp_path: Path) -> None:
    demo = [replace(clip_of([BOTH] * 3), name="demo", group="demo")]

    def found(last: LabelArray) -> Source:
        return Source(Scripted([BOTH, BOTH, last]), {})

    measure(found(BOTH), demo, tmp_path / "off", made_by={"commit": "abc1234", "threads": 1})
    measure(found(square(1, 2, 2)), demo, tmp_path / "on")
    lines = table(tmp_path).splitlines()
    assert lines[2] == "| off | demo | 100.0 | – | 0 of 4 (0.0 %) | 0 of 4 (0.0 %) | – | – |"
    assert lines[3] == "| on | demo | 75.0 | – | 1 of 4 (25.0 %) | 1 of 4 (25.0 %) | – | – |"
    assert lines[5].startswith("* off: None (None), float32, commit abc1234, threads 1,")


def test_object_1_of_a_synthetic_clip_leaves_and_returns() -> None:
    (clip,) = synthetic(1, frames=8)
    shares = [float((truth == 1).mean()) for _, truth in clip.shots() if truth is not None]
    assert shares[0] > 0 and shares[-1] > 0 and min(shares) == 0
