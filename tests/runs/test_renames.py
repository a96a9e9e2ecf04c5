"""Swaps and merges relabel what is on the disk; only later marks need tracking again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contract.coloured_video import true_mask
from maskcast.core.errors import RunConflictError
from maskcast.core.types import ABSENT
from maskcast.io.label_maps import read_label_map
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.masks import FoundObject
from maskcast.runs.other_ids import objects_with_other_ids
from runs.small_run import BOTH, COUNT, FIRST, LATE, masks_in, open_in, request, run_into

SWAP = {5: {1: 2, 2: 1}}
MERGE = {5: {2: 1}}


def shown(folder, frame: int) -> np.ndarray:
    return read_label_map(folder / f"{frame:05d}.png")


def expected(frame: int, ids: dict[int, int]) -> np.ndarray:
    """The stand-in finds the true masks; ``ids`` has the shown id of each."""
    return sum(true_mask(i, frame).numpy() * one for i, one in ids.items())


def logged(folder) -> dict[int, Any]:
    entries = FrameLog(folder / "frames.jsonl").by_frame()
    return {frame: entry.objects for frame, entry in entries.items()}


def renamed(folder, renames, prompts=FIRST, **how) -> tuple[list[int], Any]:
    """Segment, then swap or merge; return the frames that the second call segments."""
    run_into(folder, prompts, **how)
    steps: list[int] = []
    card = run_into(folder, prompts, renames=renames, steps=steps, **how)
    return steps, card


@pytest.mark.parametrize(("renames", "ids"), [(SWAP, {1: 2, 2: 1}), (MERGE, {1: 1, 2: 1})])
def test_nothing_is_tracked_again(tmp_path, renames, ids):
    steps, card = renamed(tmp_path / "a", renames)
    assert (steps, card.status, card.frames) == ([], "finished", COUNT)
    assert card.request.renames() == renames
    for frame in range(COUNT):
        one = ids if frame >= 5 else {1: 1, 2: 2}
        assert shown(tmp_path / "a", frame).tolist() == expected(frame, one).tolist()
    run_into(tmp_path / "b", renames=renames)
    assert masks_in(tmp_path / "a") == masks_in(tmp_path / "b")
    assert logged(tmp_path / "a") == logged(tmp_path / "b")


def test_relabelling_shows_progress(tmp_path):
    run_into(tmp_path)
    seen: list[tuple[str, int, int | None]] = []
    open_in(tmp_path, request(renames=SWAP), progress=lambda *report: seen.append(report))
    assert seen == [("ids", done, COUNT - 5) for done in range(1, COUNT - 4)]


def test_run_lengths_are_relabelled_too(tmp_path):
    steps, _ = renamed(tmp_path, SWAP, masks="rle")
    assert steps == []
    run = open_in(tmp_path, request(renames=SWAP), masks="rle")
    assert run.masks.read(7).tolist() == expected(7, {1: 2, 2: 1}).tolist()


@pytest.mark.parametrize("renames", [SWAP, MERGE])
def test_an_undone_swap_or_merge_needs_no_tracking(tmp_path, renames):
    run_into(tmp_path)
    before, log = masks_in(tmp_path), logged(tmp_path)
    run_into(tmp_path, renames=renames)
    assert masks_in(tmp_path) != before
    with pytest.raises(RunConflictError) as conflict:
        run_into(tmp_path)
    assert "the swap or merge of object 2 on frame 5 was removed" in str(conflict.value)
    steps: list[int] = []
    run_into(tmp_path, steps=steps, edited=True)
    assert (steps, masks_in(tmp_path), logged(tmp_path)) == ([], before, log)


def test_a_run_that_is_continued_keeps_it(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path / "a", renames=SWAP, stop=8)
    steps: list[int] = []
    run_into(tmp_path / "a", renames=SWAP, steps=steps)
    assert steps == [8, 9, 10, 11]
    run_into(tmp_path / "b", renames=SWAP)
    assert masks_in(tmp_path / "a") == masks_in(tmp_path / "b")


def test_only_frames_from_a_later_mark_on_are_tracked_again(tmp_path):
    prompts = {**FIRST, 9: {1: true_mask(1, 9)}}
    steps, _ = renamed(tmp_path, SWAP, prompts)
    assert steps[-3:] == [9, 10, 11] and min(steps) > 5
    assert shown(tmp_path, 8).tolist() == expected(8, {1: 2, 2: 1}).tolist()
    assert (shown(tmp_path, 9) == 1).tolist() == true_mask(1, 9).tolist()


def test_a_mask_of_merged_objects_is_all_that_is_left_of_them(tmp_path):
    prompts = {**FIRST, 9: {1: true_mask(1, 9)}}
    run_into(tmp_path, prompts, renames=MERGE)
    assert shown(tmp_path, 8).tolist() == expected(8, {1: 1, 2: 1}).tolist()
    for frame in (9, 10, 11):
        assert shown(tmp_path, frame).tolist() == expected(frame, {1: 1}).tolist()


def test_merged_objects_are_absent_together(tmp_path):
    run_into(tmp_path, {**FIRST, 7: {1: ABSENT}}, renames=MERGE)
    assert not shown(tmp_path, 7).any()
    assert logged(tmp_path)[7] == {1: FoundObject(0, None, 0.0)}


def test_objects_of_a_backward_pass_stay(tmp_path):
    late = {9: {1: 2, 2: 1}}
    steps, card = renamed(tmp_path / "a", late, LATE, settings=BOTH)
    assert (steps, card.status) == ([], "finished")
    run_into(tmp_path / "b", LATE, settings=BOTH, renames=late)
    assert masks_in(tmp_path / "a") == masks_in(tmp_path / "b")


def test_soft_masks_are_computed_again(tmp_path):
    soft = {"probabilities": True}
    steps, _ = renamed(tmp_path / "a", MERGE, settings=soft)
    assert steps == list(range(min(steps), COUNT)) and 0 < min(steps) <= 5
    run_into(tmp_path / "b", settings=soft, renames=MERGE)
    for path in sorted((tmp_path / "b/probs/1").iterdir()):
        assert path.read_bytes() == (tmp_path / "a/probs/1" / path.name).read_bytes()
    assert max(path.name for path in (tmp_path / "a/probs/2").iterdir()) == "00004.png"


def test_a_relabelling_that_was_interrupted_is_repeated(tmp_path, monkeypatch):
    run_into(tmp_path / "a")
    run = open_in(tmp_path / "a", request())
    write = type(run.masks).write

    def failing(self, frame_index, *rest):
        if frame_index == 8:
            raise KeyboardInterrupt
        write(self, frame_index, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(run.masks), "write", failing)
        run_into(tmp_path / "a", renames=SWAP)
    run_into(tmp_path / "a", renames=SWAP)
    run_into(tmp_path / "b", renames=SWAP)
    assert masks_in(tmp_path / "a") == masks_in(tmp_path / "b")


def test_exports_are_outdated_although_the_last_frame_is_the_same(tmp_path):
    back = {3: {1: 2, 2: 1}, 6: {1: 2, 2: 1}}
    before = open_in(tmp_path / "a", request()).identity
    after = open_in(tmp_path / "b", request(renames=back)).identity
    assert before.of_frame(COUNT - 1) == after.of_frame(COUNT - 1)
    assert before.of_frame(4) != after.of_frame(4)
    assert before.of_results(COUNT) != after.of_results(COUNT)


def test_entries_of_merged_objects_are_joined():
    objects = {1: FoundObject(30, 0.9, 0.8), 2: FoundObject(10, 0.5, 0.9), 3: FoundObject(1, 1.0)}
    joined = {1: FoundObject(40, 0.8, 0.9), 3: FoundObject(1, 1.0)}
    assert objects_with_other_ids(objects, {2: 1}) == joined
    empty = {1: FoundObject(0, None, None), 2: FoundObject(0, None, 0.1)}
    assert objects_with_other_ids(empty, {2: 1}) == {1: FoundObject(0, None, 0.1)}
