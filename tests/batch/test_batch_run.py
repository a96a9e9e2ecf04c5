"""A whole batch with the stand-in method, in one process: what is written, skipped and repeated."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path

import pytest

from batch.small_batch import COUNT, Engines, run_small, write_manifest, write_video
from fixtures.batch_stand_in import Source
from maskcast.batch.batch_run import BatchRequest, plan_batch
from maskcast.batch.checking import check_files
from maskcast.batch.manifest import Manifest
from maskcast.batch.rows import RowRules
from maskcast.batch.totals import read_totals
from maskcast.batch.waiting import Choice
from maskcast.core.errors import RunConflictError
from maskcast.core.files import alone_in
from maskcast.io.label_maps import read_label_map
from maskcast.io.packed_masks import open_rle
from maskcast.runs.card import read_card
from maskcast.runs.exports import Exports
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b", "c")):
        write_video(tmp_path, name, seed=seed)
    return tmp_path


def row(name: str, **entries: object) -> dict[str, object]:
    return {"id": name, "video": name, "masks": f"{name}.png", **entries}


def test_masks_are_those_of_segment_and_no_states_are_kept(clips):
    manifest = write_manifest(clips, row("a"), row("b", id="deep/er/b"), row("c"))
    result = run_small(manifest, clips / "out")
    assert (result.ending.exit_code, result.totals.finished) == (0, 3)
    for name, job_id in (("a", "a"), ("b", "deep/er/b"), ("c", "c")):
        alone = VideoRequest(
            video=clips / name, masks=[clips / f"{name}.png"], output=clips / "alone" / name
        )
        run_video(alone, Source())
        folder = clips / "out" / "videos" / job_id
        masks = sorted(path.name for path in folder.glob("*.png"))
        assert len(masks) == COUNT
        for mask in masks:
            assert (folder / mask).read_bytes() == (clips / "alone" / name / mask).read_bytes()
        assert not (folder / ".states").exists()
        assert read_card(folder).status == "finished"
    assert list((clips / "out" / "work").iterdir()) == []


def test_a_mask_with_the_number_of_its_video_is_that_of_the_first_frame(clips):
    write_video(clips, "0003")  # it has a frame 3
    manifest = write_manifest(clips, row("a"), row("0003"))
    assert run_small(manifest, clips / "out").totals.finished == 2
    for mask in (clips / "out" / "videos" / "a").glob("*.png"):
        assert mask.read_bytes() == (clips / "out" / "videos" / "0003" / mask.name).read_bytes()
    rules = RowRules(folder=clips)
    assert check_files(Manifest(manifest, rules)) == 2 * COUNT
    assert list((clips / "out" / "work").iterdir()) == []


def test_run_lengths_and_exports(clips):
    manifest = write_manifest(clips, row("a"))
    settings = {"form": "rle", "exports": Exports(tracks=True), "keep_states": True}
    run_small(manifest, clips / "out", settings=settings)
    folder = clips / "out" / "videos" / "a"
    assert not list(folder.glob("*.png"))
    run_small(manifest, clips / "png")
    masks = open_rle(folder / "masks.jsonl.gz")
    for path in (clips / "png" / "videos" / "a").glob("*.png"):
        assert (masks.read(path.stem) == read_label_map(path)).all()
    assert (folder / "exports" / "tracks.csv").is_file()
    assert list((folder / ".states").glob("*.safetensors"))


def test_the_same_call_again_does_nothing(clips):
    manifest, engines = write_manifest(clips, row("a"), row("b")), Engines()
    run_small(manifest, clips / "out", engines)
    before = {path: path.stat().st_mtime_ns for path in (clips / "out" / "videos").rglob("*")}
    result = run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == []
    assert (result.ending.reason, result.totals.finished) == ("finished", 2)
    assert before == {p: p.stat().st_mtime_ns for p in (clips / "out" / "videos").rglob("*")}


def test_finished_means_a_matching_run_card_not_the_journal(clips):
    manifest, engines = write_manifest(clips, row("a"), row("b")), Engines()
    run_small(manifest, clips / "out", engines)
    (clips / "out" / "videos" / "a" / "run.json").unlink()
    for path in (clips / "out" / "journal").iterdir():
        path.unlink()
    result = run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == ["a"]
    assert result.totals.finished == 2


def test_a_card_that_is_not_finished_does_not_count(clips):
    manifest, engines = write_manifest(clips, row("a")), Engines()
    run_small(manifest, clips / "out", engines)
    card = clips / "out" / "videos" / "a" / "run.json"
    card.write_text(card.read_text().replace('"finished"', '"stopped"'))
    run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == ["a"]
    assert read_card(card.parent).status == "finished"


@pytest.mark.parametrize("change", ["row", "input", "mask"])
def test_a_changed_row_or_input_is_reported_and_redone_only_if_asked(clips, change):
    manifest, engines = write_manifest(clips, row("a"), row("b")), Engines()
    run_small(manifest, clips / "out", engines)
    card = clips / "out" / "videos" / "a" / "run.json"
    before = card.read_bytes()
    if change == "row":
        write_manifest(clips, row("a", end=3), row("b"))
    else:
        touched = clips / "a" / "00003.png" if change == "input" else clips / "a.png"
        os.utime(touched, ns=(1, 1))
    result = run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == []
    assert result.totals.changed == {"a"}
    assert card.read_bytes() == before
    result = run_small(manifest, clips / "out", engines, choice=Choice(redo_changed=True))
    assert engines.latest_ids == ["a"]
    assert result.totals.changed == set()
    assert len(list(card.parent.glob("*.png"))) == (3 if change == "row" else COUNT)


def test_files_that_are_moved_are_the_same_files(clips):
    manifest, engines = write_manifest(clips, row("a")), Engines()
    run_small(manifest, clips / "out", engines)
    (clips / "moved").mkdir()
    for name in ("a", "a.png"):
        (clips / name).rename(clips / "moved" / name)
    write_manifest(clips, {"id": "a", "video": "moved/a", "masks": "moved/a.png"})
    assert run_small(manifest, clips / "out", engines).totals.changed == set()
    assert engines.latest_ids == []


def test_priority_and_notes_change_nothing(clips):
    manifest, engines = write_manifest(clips, row("a")), Engines()
    run_small(manifest, clips / "out", engines)
    write_manifest(clips, row("a", priority=3, x_note="n", seconds=9, time_limit=99))
    assert run_small(manifest, clips / "out", engines).totals.changed == set()
    assert engines.latest_ids == []


def test_one_broken_video_is_named_and_does_not_end_the_run(clips):
    rows = [row("missing", x_note="=1+1"), row("a", x_note="=1+1"), row("b")]
    manifest, engines = write_manifest(clips, *rows), Engines()
    result = run_small(manifest, clips / "out", engines)
    assert (result.totals.finished, list(result.totals.failed)) == (2, ["missing"])
    (line,) = (clips / "out" / "failures.jsonl").read_text().splitlines()
    failure = json.loads(line)
    assert failure["_failure"]["class"] == "data"
    assert "missing does not exist" in failure["_failure"]["sentence"]
    assert failure["video"] == str(clips / "missing")
    with (clips / "out" / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [entry["id"] for entry in table] == ["a", "b"]
    assert [entry["frames"] for entry in table] == [str(COUNT)] * 2
    assert table[0]["x_note"] == "'=1+1"  # no formula for a spreadsheet
    assert "missing" in (clips / "out" / "report.html").read_text()

    run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == []  # it has failed for good
    write_video(clips, "missing")
    failures = clips / "out" / "failures.jsonl"
    result = run_small(failures, clips / "out", engines, choice=Choice(retry_failed=True))
    assert engines.latest_ids == ["missing"]
    assert (result.totals.finished, result.totals.failed) == (3, {})
    assert failures.read_text() == ""


def test_a_row_that_was_corrected_is_tried_again_by_itself(clips):
    manifest, engines = write_manifest(clips, row("a", masks="none.png")), Engines()
    assert list(run_small(manifest, clips / "out", engines).totals.failed) == ["a"]
    write_manifest(clips, row("a"))
    assert run_small(manifest, clips / "out", engines).totals.finished == 1


def test_a_fault_is_tried_again_and_its_traceback_kept(clips):
    manifest = write_manifest(clips, row("a", options={"fail_at": 3}), row("b"))
    engines = Engines()
    result = run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == ["a", "a", "a", "b"]
    failed = result.totals.failed["a"]
    assert (failed.kind, failed.sentence) == ("fault", "ValueError: something is wrong")
    assert any("batch_stand_in" in line for line in failed.log)
    assert (clips / "out" / "work" / "a" / "run" / "run.json").is_file()  # states are kept


def test_memory_that_ran_out_is_tried_again_in_a_new_worker(clips, monkeypatch):
    monkeypatch.setattr("maskcast.batch.policy.BatchPolicy.delay", lambda *_: 0.01)
    engines = Engines()
    manifest = write_manifest(clips, row("a", options={"memory_at": 1}))
    result = run_small(manifest, clips / "out", engines, attempts=2)
    assert engines.made[-1].worker == 2
    assert result.totals.failed["a"].kind == "memory"


def test_a_sha256_is_insisted_on(clips):
    (clips / "video.mp4").write_bytes(b"other content")
    rows = [row("a", sha256="0" * 64), row("d", video="video.mp4", sha256="1" * 64)]
    result = run_small(write_manifest(clips, *rows), clips / "out")
    assert "must be a file" in result.totals.failed["a"].sentence
    actual = hashlib.sha256(b"other content").hexdigest()
    assert f"has the SHA-256 {actual}, expected 1111" in result.totals.failed["d"].sentence


def test_over_the_time_limit_the_state_is_kept_and_a_larger_limit_continues(clips):
    manifest, engines = write_manifest(clips, row("a", time_limit=1e-9)), Engines()
    result = run_small(manifest, clips / "out", engines)
    assert result.totals.failed["a"].kind == "time"
    run_small(manifest, clips / "out", engines)
    assert engines.latest_ids == []
    write_manifest(clips, row("a", time_limit=500))
    result = run_small(manifest, clips / "out", engines)
    assert result.totals.finished == 1
    card = read_card(clips / "out" / "videos" / "a")
    assert card.resumed_from > 0


def test_a_limit_of_all_videos_is_remembered_too(clips):
    manifest, engines = write_manifest(clips, row("a")), Engines()
    short = Choice(time_limit=1e-9)
    assert list(run_small(manifest, clips / "out", engines, choice=short).totals.failed) == ["a"]
    run_small(manifest, clips / "out", engines, choice=short)
    assert engines.latest_ids == []
    assert run_small(manifest, clips / "out", engines).totals.finished == 1


def test_a_video_that_was_interrupted_goes_on_from_its_state(clips):
    manifest, engines = write_manifest(clips, row("a")), Engines()

    def stop_after(setup):
        engine = engines(setup)
        give = engine.give

        def give_and_stop(worker, work):
            engine.stop.set()  # as if the worker had been asked to stop in its first frame
            give(worker, work)
            engine.stop.clear()
            engine.give = give

        engine.give = give_and_stop
        return engine

    result = run_small(manifest, clips / "out", stop_after)
    assert engines.latest_ids == ["a", "a"]
    assert result.totals.finished == 1
    assert read_card(clips / "out" / "videos" / "a").resumed_from == 1
    alone = VideoRequest(video=clips / "a", masks=[clips / "a.png"], output=clips / "alone")
    run_video(alone, Source())
    for mask in (clips / "alone").glob("*.png"):
        assert mask.read_bytes() == (clips / "out" / "videos" / "a" / mask.name).read_bytes()


def test_shards_of_one_batch_together_are_the_whole(clips):
    for name in "defg":
        write_video(clips, name)
    manifest = write_manifest(clips, *(row(name) for name in "abcdefg"))
    for index in range(3):
        run_small(manifest, clips / "out", shard=(index, 3))
    assert sorted(p.name for p in (clips / "out" / "videos").iterdir()) == list("abcdefg")
    totals = read_totals(clips / "out")
    assert (totals.rows, totals.finished, totals.left) == (7, 7, 0)
    with pytest.raises(RunConflictError, match="the setting shards was 3, now 2"):
        run_small(manifest, clips / "out", shard=(0, 2))


def test_a_batch_with_other_settings_is_refused(clips):
    manifest = write_manifest(clips, row("a"))
    run_small(manifest, clips / "out")
    with pytest.raises(RunConflictError, match="the setting form was png, now rle"):
        run_small(manifest, clips / "out", settings={"form": "rle"})
    (clips / "full").mkdir()
    (clips / "full" / "notes.txt").write_text("mine")
    with pytest.raises(RunConflictError, match="contains files but no batch"):
        run_small(manifest, clips / "full")
    assert [path.name for path in (clips / "full").iterdir()] == ["notes.txt"]


def test_another_manifest_may_add_videos(clips):
    run_small(write_manifest(clips, row("a")), clips / "out")
    engines = Engines()
    other = write_manifest(clips, row("a"), row("b"), name="more.jsonl")
    run_small(other, clips / "out", engines)
    assert engines.latest_ids == ["b"]


def test_a_second_dispatcher_of_the_same_shard_is_refused(clips):
    manifest = write_manifest(clips, row("a"))
    run_small(manifest, clips / "out")
    with (
        alone_in(clips / "out" / "shards" / "0-of-1"),
        pytest.raises(RunConflictError, match="another process"),
    ):
        run_small(manifest, clips / "out")


def test_a_folder_per_hash_keeps_folders_small(clips):
    manifest = write_manifest(clips, row("a"), row("b"))
    run_small(manifest, clips / "out", settings={"hash_folders": True})
    cards = sorted((clips / "out" / "videos").glob("??/*/run.json"))
    assert sorted(card.parent.name for card in cards) == ["a", "b"]


def test_a_plan_counts_and_writes_nothing(clips):
    manifest = write_manifest(clips, row("a"), row("b"), row("missing"))
    request = BatchRequest(manifest=manifest, output=clips / "out", threads=1)
    assert plan_batch(request)["to segment"] == 3
    assert not (clips / "out").exists()
    run_small(manifest, clips / "out", limit=2)
    write_manifest(clips, row("a", end=2), row("b"), row("missing"))
    assert plan_batch(request) == {
        **{"to segment": 1, "finished": 1, "changed": 1, "failed before": 0},
    }


def test_scratch_on_another_file_system_gives_the_same_results(clips, monkeypatch):
    manifest = write_manifest(clips, row("a"))
    run_small(manifest, clips / "out")

    def rename(self, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", rename)
    run_small(manifest, clips / "other", scratch=clips / "scratch")
    first, second = (clips / name / "videos" / "a" for name in ("out", "other"))
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        if name.endswith(".png"):
            assert (first / name).read_bytes() == (second / name).read_bytes()
    assert list((clips / "scratch").iterdir()) == []
