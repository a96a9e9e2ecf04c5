"""After any edit a folder holds what a fresh run of the same request holds, and computes little."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from contract.coloured_video import true_mask
from maskcast.core.errors import OutputError, RunConflictError
from maskcast.io.label_maps import read_label_map
from maskcast.io.packed_masks import open_packed_masks
from maskcast.runs.card import read_card
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.masks import PngMasks
from runs.small_run import (
    BOTH,
    CORRECTED,
    COUNT,
    FIRST,
    LATE,
    aside_in,
    masks_in,
    run_into,
    states_in,
)


def fresh(tmp_path: Path, *arguments: Any, **keywords: Any) -> dict[str, bytes]:
    """The masks of a run from the beginning."""
    run_into(tmp_path / "fresh", *arguments, **keywords)
    return masks_in(tmp_path / "fresh")


def digests_in(folder: Path) -> list[str | None]:
    entries = FrameLog(folder / "frames.jsonl").by_frame()
    return [entries[frame_index].digest for frame_index in sorted(entries)]


def test_a_correction_keeps_the_frames_before_it(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    before = masks_in(run)
    card = run_into(run, CORRECTED, steps=steps)
    assert (card.status, card.resumed_from) == ("finished", 7)
    assert steps == [7, 8, 9, 10, 11]  # from the state after frame 6
    after = masks_in(run)
    assert after == fresh(tmp_path, CORRECTED)
    assert next(name for name in after if after[name] != before[name]) == "00008.png"
    assert len(set(digests_in(run))) == 2


def test_an_undone_correction_comes_back_without_computing(tmp_path):
    run = tmp_path / "run"
    run_into(run)
    before, states = masks_in(run), states_in(run)
    run_into(run, CORRECTED)
    assert aside_in(run) == [
        *("00000009.safetensors",),
        *(f"aside-{frame_index:08d}.png" for frame_index in range(8, COUNT)),
    ]
    steps: list[int] = []
    card = run_into(run, edited=True, steps=steps)
    assert (steps, card.status, card.frames) == ([], "finished", COUNT)
    assert masks_in(run) == before
    assert set(states) <= set(states_in(run))
    redone = run_into(run, CORRECTED, steps=steps)  # and so does what was undone
    assert (steps, redone.status) == ([], "finished")
    assert masks_in(run) == fresh(tmp_path, CORRECTED)


@pytest.mark.parametrize(
    "changed",
    [
        {0: {1: true_mask(1, 0)}},  # a prompt is removed
        {0: {1: true_mask(1, 0), 2: true_mask(2, 1)}},  # changed
        {**FIRST, 3: {2: true_mask(2, 2)}, 9: {1: true_mask(1, 9)}},  # added
    ],
)
def test_any_edit_gives_what_a_fresh_run_gives(changed, tmp_path):
    run = tmp_path / "run"
    run_into(run, CORRECTED)
    run_into(run, changed, edited=True)
    assert masks_in(run) == fresh(tmp_path, changed)
    run_into(run, CORRECTED, edited=True)
    assert masks_in(run) == fresh(tmp_path / "again", CORRECTED)


def test_without_being_told_an_edit_is_a_different_run(tmp_path):
    run_into(tmp_path, CORRECTED)
    before = masks_in(tmp_path)
    with pytest.raises(RunConflictError, match="different") as caught:
        run_into(tmp_path)
    assert "the prompt of object 1 on frame 8 was removed" in str(caught.value)
    assert masks_in(tmp_path) == before


def test_an_object_ends_and_the_end_can_be_moved(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    card = run_into(run, ends={7: (2,)}, steps=steps)
    assert card.request.prompts["7:2"] == "end"
    assert steps == [7, 8, 9, 10, 11]
    assert masks_in(run) == fresh(tmp_path, ends={7: (2,)})
    assert 2 not in read_label_map(run / "00007.png")
    assert 2 in read_label_map(run / "00006.png")
    with pytest.raises(RunConflictError) as caught:
        run_into(run, ends={9: (2,)})
    assert "the end of object 2 on frame 7 was removed" in str(caught.value)
    run_into(run, ends={9: (2,)}, edited=True)
    assert masks_in(run) == fresh(tmp_path / "later", ends={9: (2,)})


def test_a_later_end_of_the_video_keeps_all_frames(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run, settings={"end": "8"}, count=8)
    times = {path: path.stat().st_mtime_ns for path in run.glob("*.png")}
    card = run_into(run, steps=steps)
    assert (card.frames, card.status, steps) == (COUNT, "finished", [7, 8, 9, 10, 11])
    assert masks_in(run) == fresh(tmp_path)
    assert sum(path.stat().st_mtime_ns == time for path, time in times.items()) == 7


def test_an_earlier_end_of_the_video_deletes_nothing(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    before = masks_in(run)
    card = run_into(run, settings={"end": "8"}, count=8, steps=steps)
    assert (card.frames, card.status, steps) == (8, "finished", [])
    assert masks_in(run) == before
    run_into(run, CORRECTED, settings={"end": "10"}, count=10)
    corrected = fresh(tmp_path, CORRECTED)
    assert masks_in(run) == {name: corrected[name] for name in list(corrected)[:10]}


def test_soft_masks_that_are_added_are_written_for_every_frame(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    before = masks_in(run)
    run_into(run, settings={"probabilities": True}, steps=steps)
    assert steps == list(range(COUNT))
    assert masks_in(run) == before
    assert len(list((run / "probs" / "2").iterdir())) == COUNT
    run_into(run, {0: {1: true_mask(1, 0)}}, settings={"probabilities": True}, edited=True)
    assert not list((run / "probs").glob("2/*.png"))
    steps.clear()
    run_into(run, settings={"probabilities": True}, edited=True, steps=steps)
    assert (steps, len(list((run / "probs" / "2").iterdir()))) == ([], COUNT)


def test_what_the_backward_pass_filled_in_follows_every_edit(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run, LATE, settings=BOTH)
    both = masks_in(run)
    without = {5: LATE[5]}
    card = run_into(run, without, settings=BOTH, edited=True, steps=steps)
    assert card.status == "finished"
    assert masks_in(run) == fresh(tmp_path, without, settings=BOTH)
    assert steps == [*range(3, COUNT), *range(5, -1, -1)]  # the state after frame 2 is kept
    steps.clear()
    run_into(run, LATE, settings=BOTH, edited=True, steps=steps)
    assert steps == []
    assert masks_in(run) == both


def test_a_correction_before_the_last_first_prompt_fills_only_what_is_computed_again(tmp_path):
    run = tmp_path / "run"
    run_into(run, LATE, settings=BOTH)
    corrected = {**LATE, 6: {1: true_mask(1, 5)}}
    run_into(run, corrected, settings=BOTH)
    assert masks_in(run) == fresh(tmp_path, corrected, settings=BOTH)
    entries = FrameLog(run / "frames.jsonl").by_frame()
    assert {entry.backward is not None for entry in list(entries.values())[:8]} == {True}


@pytest.mark.parametrize("edited", [True, False])
def test_a_damaged_mask_that_has_to_be_cleared_is_computed_again(edited, tmp_path, caplog):
    run = tmp_path / "run"
    run_into(run, LATE, settings=BOTH)
    (run / "00004.png").write_bytes(b"junk")
    if edited:  # what was filled in is taken out of it
        now = {5: LATE[5]}
        run_into(run, now, settings=BOTH, edited=True)
    else:  # an earlier mask is gone, so that it is written again
        now = LATE
        (run / "00003.png").unlink()
        run_into(run, now, settings=BOTH)
    assert ("00004.png" if edited else "00003.png") in caplog.text
    assert masks_in(run) == fresh(tmp_path, now, settings=BOTH)


@pytest.mark.parametrize("at", range(9))
def test_a_run_killed_while_it_fills_frames_is_right_after_any_edit(at, tmp_path, monkeypatch):
    """Killed between any two writes of the backward pass, then edited."""
    run, calls = tmp_path / "run", []

    def killing(writer):
        def write(*arguments):
            calls.append(1)
            if len(calls) > at:
                raise SystemExit
            return writer(*arguments)

        return write

    run_into(run, LATE)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(FrameLog, "append", killing(FrameLog.append))
        patch.setattr("maskcast.runs.masks.PngMasks.write", killing(PngMasks.write))
        run_into(run, LATE, settings=BOTH)
    without = {5: LATE[5]}
    run_into(run, without, settings=BOTH, edited=True)
    assert masks_in(run) == fresh(tmp_path, without, settings=BOTH)
    run_into(run, LATE, settings=BOTH, edited=True)
    assert masks_in(run) == fresh(tmp_path / "both", LATE, settings=BOTH)


@pytest.mark.parametrize("at", [0, 1, 2, 3, 5, 8, 13, 20])
def test_an_edit_that_is_killed_can_be_made_or_undone(at, tmp_path, monkeypatch):
    """Killed between any two changes to the disk while the folder is brought in line."""
    calls: list[int] = []

    def killing(change):
        def changed(*arguments, **keywords):
            calls.append(1)
            if len(calls) > at:
                raise SystemExit
            return change(*arguments, **keywords)

        return changed

    for outcome, prompts in (("made", CORRECTED), ("undone", FIRST)):
        run = tmp_path / outcome
        run_into(run)
        with monkeypatch.context() as patch:
            calls.clear()
            patch.setattr(FrameLog, "append", killing(FrameLog.append))
            patch.setattr(FrameLog, "replace", killing(FrameLog.replace))
            for name in ("remove", "copy_to", "write"):
                patch.setattr(PngMasks, name, killing(getattr(PngMasks, name)))
            with contextlib.suppress(SystemExit):
                run_into(run, CORRECTED)
        run_into(run, prompts, edited=True)
        assert masks_in(run) == fresh(tmp_path / f"fresh {outcome}", prompts)


def test_states_and_masks_of_unknown_origin_do_not_count(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    run_into(other, {0: {1: true_mask(1, 3)}})
    with pytest.raises(KeyboardInterrupt):
        run_into(run, stop=5)
    for source in (other / ".states").glob("*.safetensors"):
        (run / ".states" / source.name).write_bytes(source.read_bytes())
    (run / "00007.png").write_bytes((other / "00007.png").read_bytes())
    run_into(run)
    assert masks_in(run) == fresh(tmp_path)


def test_a_folder_that_was_emptied_but_for_its_states_begins_again(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    for path in run.iterdir():
        if path.is_file():
            path.unlink()
    other = {0: {1: true_mask(1, 3)}}
    run_into(run, other, steps=steps)
    assert steps == list(range(COUNT))
    run_into(run, {**other, 8: {1: true_mask(1, 8)}})
    assert masks_in(run) == fresh(tmp_path, {**other, 8: {1: true_mask(1, 8)}})


def test_what_cannot_be_removed_is_an_error(tmp_path, monkeypatch):
    run_into(tmp_path)
    real = Path.unlink

    def refused(path: Path, **options: bool) -> None:
        if path.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        with pytest.raises(OutputError, match=r"cannot delete .*00000009.safetensors: Permission"):
            run_into(tmp_path, CORRECTED)
    card = read_card(tmp_path)
    assert card is not None and card.status == "finished"


def test_lost_states_cost_time_but_no_masks(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    shutil.rmtree(run / ".states")
    assert run_into(run, steps=steps).status == "finished"
    assert steps == []
    run_into(run, CORRECTED, steps=steps)
    assert steps == list(range(COUNT))
    assert masks_in(run) == fresh(tmp_path, CORRECTED)


def test_run_lengths_follow_edits_as_pictures_do(tmp_path):
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    steps: list[int] = []
    for prompts in (LATE, {**LATE, 9: {1: true_mask(1, 8)}}, {5: LATE[5]}, LATE):
        run_into(plain, prompts, settings=BOTH, edited=True)
        steps.clear()
        run_into(packed, prompts, settings=BOTH, edited=True, masks="rle", steps=steps)
        masks = open_packed_masks(packed / "masks.jsonl.gz")
        for name in masks_in(plain):
            expected = read_label_map(plain / name)
            assert masks.read(name[:-4]).tolist() == expected.tolist()
        masks.close()
        assert not masks_in(packed)
    assert steps == []  # the first request again
    run_into(packed, LATE, settings=BOTH, steps=steps)  # the folder says how masks are kept
    assert steps == []
    run_into(packed, LATE, settings=BOTH, overwrite=True)
    assert masks_in(packed) == masks_in(plain)
    assert not list(packed.glob("masks.*"))


def test_a_lost_log_means_computing_everything_again(tmp_path):
    run, steps = tmp_path / "run", []
    run_into(run)
    before = masks_in(run)
    (run / "frames.jsonl").unlink()
    run_into(run, steps=steps)
    assert (steps, masks_in(run)) == (list(range(COUNT)), before)
