"""Overwriting removes what runs of this video make, exactly, with or without a run card."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcast.core.errors import OutputError, RunConflictError
from maskcast.runs.overwriting import remove_run
from runs.small_run import COUNT, FIRST, LATE, masks_in, open_in, request, run_into


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("has_card", [True, False])
@pytest.mark.parametrize("has_log", [True, False])
def test_it_begins_again_with_or_without_card_and_log(has_card, has_log, tmp_path):
    run_into(tmp_path / "run", LATE, settings={"probabilities": True})
    (tmp_path / "run" / "exports").mkdir()
    (tmp_path / "run" / "exports" / "tracks.csv").write_text("old")
    if not has_card:
        (tmp_path / "run" / "run.json").unlink()
    if not has_log:
        (tmp_path / "run" / "frames.jsonl").unlink()
    with pytest.raises(RunConflictError, match=r"different|overwrite"):
        run_into(tmp_path / "run")
    run_into(tmp_path / "run", overwrite=True)
    run_into(tmp_path / "fresh")
    assert everything_in(tmp_path / "run") == everything_in(tmp_path / "fresh")
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "fresh")


def test_files_of_others_stay(tmp_path, caplog):
    run_into(tmp_path)
    for name in ("notes.txt", "picture.png", "objects.json", ".app"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "00000.png").write_text("mine")
    open_in(tmp_path, request(), overwrite=True)
    left = [".app", "notes.txt", "objects.json", "picture.png", "prompts", "prompts/00000.png"]
    assert everything_in(tmp_path) == sorted([*left, "run.json"])
    assert f"deleted {COUNT} masks, .states of an earlier run" in caplog.text


def test_masks_of_a_longer_video_are_removed_if_the_log_names_them(tmp_path):
    run_into(tmp_path)
    run_into(tmp_path, count=5, overwrite=True)
    assert len(masks_in(tmp_path)) == 5


def test_other_pictures_named_like_frames_are_listed_and_nothing_is_removed(tmp_path):
    run_into(tmp_path)
    (tmp_path / "frames.jsonl").unlink()
    before = everything_in(tmp_path)
    with pytest.raises(RunConflictError, match=r"named like frames.*never overwritten") as caught:
        run_into(tmp_path, count=10, overwrite=True)
    assert caught.value.details == ("00010.png", "00011.png")
    assert everything_in(tmp_path) == before


def test_names_that_differ_in_their_digits_are_like_a_frame(tmp_path):
    run_into(tmp_path)
    for name in ("shot_b.png", "shot_07.png", "12.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(RunConflictError) as caught:
        remove_run(tmp_path, ["shot_01", "shot_02"])
    assert caught.value.details == ("12.png", "shot_07.png")


def test_folders_behind_links_are_emptied_of_results_and_the_links_stay(tmp_path):
    run, disk = tmp_path / "run", tmp_path / "disk"
    run_into(run, settings={"probabilities": True})
    disk.mkdir()
    for name in (".states", "probs"):
        (run / name).rename(disk / name)
        (run / name).symlink_to(disk / name)
    (disk / "exports").mkdir()
    (run / "exports").symlink_to(disk / "exports")
    for name in ("tracks.csv", "masks.json", "holiday.mp4"):
        (disk / "exports" / name).write_text("old")
    (disk / "exports" / "cutout").mkdir()
    (disk / "exports" / "cutout" / "00000.png").write_text("old")
    open_in(run, request(LATE), overwrite=True)
    assert [name for name in (".states", "probs", "exports") if (run / name).is_symlink()] == [
        *(".states", "probs", "exports"),
    ]
    assert everything_in(disk) == [".states", "exports", "exports/holiday.mp4", "probs"]


def test_nothing_is_removed_from_a_folder_that_cannot_be_listed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot"):
        run_into(tmp_path / "file", FIRST, overwrite=True)
