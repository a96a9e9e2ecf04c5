"""``maskcast evaluate``: any segmenter over a data set, scored, resumable by video."""

from __future__ import annotations

import importlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest
import torch

from contract import stand_in
from evaluation.small_sets import davis2017, square, youtube_vos
from maskcast.core.files import alone_in
from maskcast.evaluation.published import PublishedRow
from maskcast.evaluation.published_table import BEGIN, END
from maskcast.evaluation.run import ProcessingTime, segment_one
from maskcast.io.label_maps import read_label_map
from maskcast.io.weights.files import write_weights
from maskcast.io.weights.names import PublishedFile
from maskcast.methods.catalogue import METHODS


@pytest.fixture
def root(tmp_path):
    return davis2017(tmp_path / "set", {"ants": {1: 0, 3: 2}, "cows": {1: 0}})


@pytest.fixture
def evaluate(clip, maskcast, root):
    """``maskcast evaluate davis2017`` with the stand-in method, into ``run``."""

    def run(*arguments, dataset="davis2017", weights=True):
        chosen = ["--weights", "./colours.safetensors", "--device", "cpu"] if weights else []
        return maskcast("evaluate", dataset, "--root", root, "-o", "run", *chosen, *arguments)

    return run


def test_masks_scores_and_speed(evaluate, clip, maskcast, root):
    outcome = evaluate()
    assert outcome.exit_code == 0, outcome.error
    assert "model only" in outcome.output
    masks = sorted(
        path.relative_to(clip / "run").as_posix() for path in clip.glob("run/masks/**/*.png")
    )
    assert len(masks) == 12
    assert masks[0] == "masks/ants/00000.png"
    np.testing.assert_array_equal(
        read_label_map(clip / "run" / "masks" / "cows" / "00000.png") == 1, square(1, 0)
    )
    tree = json.loads((clip / "run" / "scores.json").read_text())
    assert tree["run"]["method"] == "colours"
    for results in ("run/masks", "run"):
        arguments = ["--root", root, "--results", results, "-o", "again"]
        assert maskcast("score", "davis2017", *arguments).exit_code == 0
        again = json.loads((clip / "again" / "scores.json").read_text())
        assert tree["objects"] == again["objects"]
    assert 0 < tree["dataset"]["J"]["mean"] < 1
    assert set(tree["speed"]) == {
        "model_frames_per_second",
        "end_to_end_frames_per_second",
        "model_seconds_per_object_frame",
    }
    assert (clip / "run" / "scores.csv").is_file()


def test_info_on_an_evaluation_shows_what_was_asked_and_scored(evaluate, maskcast, clip):
    assert evaluate("--videos", "cows").exit_code == 0
    output = maskcast("info", "run").output
    scored = json.loads((clip / "run" / "scores.json").read_text())
    assert "method          colours\n" in output
    assert "dataset         davis2017\n" in output
    assert "videos          1 segmented\n" in output
    assert "scored          1 video, " in output
    assert f"J&F             {100 * scored['dataset']['J&F']:.1f} per cent\n" in output
    (clip / "run" / "evaluation.json").write_text("[")
    maskcast("info", "run").assert_one_sentence(3, "cannot read the request")


def test_goes_on_with_the_videos_that_are_not_finished(evaluate, clip):
    assert evaluate("--videos", "cows").exit_code == 0
    finished = clip / "run" / "masks" / "cows" / "00003.png"
    before = finished.stat().st_mtime_ns
    assert evaluate().exit_code == 0
    assert finished.stat().st_mtime_ns == before
    assert len(json.loads((clip / "run" / "scores.json").read_text())["videos"]) == 2


def test_an_interruption_keeps_the_videos_that_are_finished(evaluate, clip, monkeypatch):
    def interrupted(segmenter, video, *others):
        if video.name == "cows":
            raise KeyboardInterrupt
        return segment_one(segmenter, video, *others)

    with monkeypatch.context() as patch:
        patch.setattr("maskcast.evaluation.run.segment_one", interrupted)
        evaluate().assert_one_sentence(130, "run again to continue with the unfinished videos")
    assert [path.name for path in clip.glob("run/timing/*")] == ["ants.json"]
    assert evaluate().exit_code == 0


def test_another_question_needs_another_folder(evaluate):
    assert evaluate("--videos", "cows").exit_code == 0
    outcome = evaluate("--option", "update_rate=0.5")
    outcome.assert_one_sentence(
        2, "contains a different evaluation (choose a different folder): options was"
    )


def test_a_call_that_failed_before_any_mask_does_not_bind_the_folder(evaluate):
    evaluate("--option", "nothing=1").assert_one_sentence(2, "unknown setting 'nothing'")
    assert evaluate().exit_code == 0


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_note_of_what_was_asked_is_one_sentence(evaluate, clip, content):
    assert evaluate("--videos", "cows").exit_code == 0
    (clip / "run" / "evaluation.json").write_text(content)
    evaluate().assert_one_sentence(2, "evaluation.json is damaged; choose a different folder")


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"frames": "many"}'])
def test_a_damaged_timing_is_one_sentence(evaluate, clip, content):
    assert evaluate("--videos", "cows").exit_code == 0
    (clip / "run" / "timing" / "cows.json").write_text(content)
    evaluate().assert_one_sentence(3, "cows.json is damaged; delete it to segment the video again")


def test_masks_that_are_not_ours_stay(evaluate, clip):
    (clip / "run").mkdir()
    (clip / "run" / "mine.txt").touch()
    evaluate().assert_one_sentence(2, "contains files but no evaluation")


def test_a_second_process_in_the_same_folder_is_refused(evaluate, clip):
    with alone_in(clip / "run"):
        evaluate().assert_one_sentence(2, "another process is writing to run; wait")
    assert list((clip / "run").iterdir()) == []
    assert evaluate().exit_code == 0  # the first one is gone


def test_a_process_that_dies_is_one_sentence(evaluate, clip, monkeypatch):
    class Dying(ThreadPoolExecutor):
        def __init__(self, jobs, **_):
            super().__init__(jobs)

        def submit(self, *_):
            return super().submit(dies)

    def dies():
        raise BrokenProcessPool

    monkeypatch.setattr("maskcast.evaluation.run.ProcessPoolExecutor", Dying)
    evaluate("--method", "shift-first", "--jobs", "2", weights=False).assert_one_sentence(
        4, "continue with fewer processes (--jobs)"
    )


def test_an_interruption_keeps_the_videos_that_are_waited_for(evaluate, clip, monkeypatch, caplog):
    begun, stopping = threading.Event(), threading.Event()

    class Threads(ThreadPoolExecutor):
        def __init__(self, jobs, **_):
            super().__init__(jobs)

        def submit(self, _, video, masks, init):
            return super().submit(work, video.name)

        def shutdown(self, **how):
            stopping.set()
            super().shutdown(**how)

    def work(name: str) -> ProcessingTime:
        if name == "cows":
            begun.wait()
            raise KeyboardInterrupt
        begun.set()
        stopping.wait()
        return ProcessingTime(frames=1)

    monkeypatch.setattr("maskcast.evaluation.run.ProcessPoolExecutor", Threads)
    outcome = evaluate("--method", "shift-first", "--jobs", "2", weights=False)
    outcome.assert_one_sentence(130, "run again to continue")
    assert "waiting for the videos in progress" in caplog.text
    assert [path.name for path in (clip / "run" / "timing").iterdir()] == ["ants.json"]


@pytest.mark.slow  # two more processes import torch
def test_processes_do_not_change_the_masks(evaluate, clip):
    assert evaluate("--method", "shift-first", weights=False).exit_code == 0
    (clip / "run").rename(clip / "alone")
    assert evaluate("--method", "shift-first", "--jobs", "2", weights=False).exit_code == 0
    for path in (clip / "alone").glob("masks/*/*.png"):
        other = clip / "run" / path.relative_to(clip / "alone")
        assert path.read_bytes() == other.read_bytes()


def test_hidden_truth_leaves_the_masks_for_the_server(clip, maskcast, tmp_path):
    root = youtube_vos(tmp_path / "yt", {"v": {1: 0}}, split="valid")
    for path in sorted((root / "valid" / "Annotations" / "v").iterdir())[1:]:
        path.unlink()
    arguments = ["--root", root, "-o", "run", "--method", "copy-first"]
    outcome = maskcast("evaluate", "youtube-vos-2018", *arguments)
    assert outcome.exit_code == 0, outcome.error
    assert "the ground truth is not public" in outcome.error
    assert (clip / "run" / "masks" / "Annotations" / "v" / "00025.png").is_file()
    assert not (clip / "run" / "scores.json").exists()


def test_public_truth_with_a_fault_is_said_before_any_work(evaluate, clip, root):
    (root / "Annotations" / "480p" / "cows" / "00003.png").unlink()
    outcome = evaluate()
    assert outcome.exit_code == 3
    assert "no ground truth for frame 00003" in outcome.error
    assert not (clip / "run").exists()


def test_box_start_is_noted(evaluate, clip):
    assert evaluate("--method", "copy-first", "--init", "box", weights=False).exit_code == 0
    tree = json.loads((clip / "run" / "scores.json").read_text())
    assert tree["run"]["init"] == "box"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "copy-first", "--weights", "x"], "takes neither weights nor options"),
        (["--method", "nobody"], "unknown method 'nobody'"),
        (["--jobs", "0"], "jobs must be at least 1, got 0 (--jobs)"),
        (["--method", "copy-first", "--unseen", "list.txt"], "DAVIS 2017 has no unseen group"),
        (["--method", "copy-first", "--all-frames"], "does not support all_frames (--all-frames)"),
    ],
)
def test_calls_that_make_no_sense(evaluate, clip, arguments, words):
    evaluate(*arguments, weights=False).assert_one_sentence(2, words)
    assert not (clip / "run").exists()


@pytest.fixture
def table(clip, monkeypatch):
    """A page with one published row, which the stand-in's authors reached with their weights."""
    row = PublishedRow(
        method="colours",
        name="Colours",
        dataset="davis2017",
        split="val",
        videos=2,
        figures={"J&F": 70.0, "J": 69.0},
        paper="Nobody, On Colours, Nowhere 2020",
        table="Table 1",
        weights="colours-paper",
    )
    importlib.import_module("maskcast.evaluation.report")  # would keep a name that is replaced here
    for module in ("published", "published_table"):
        monkeypatch.setattr(f"maskcast.evaluation.{module}.published_rows", lambda **_: [row])
    page = clip / "results.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    return page


@pytest.fixture
def install(clip, monkeypatch):
    """Put weights named ``colours-paper`` into the cache, with a card."""
    file = PublishedFile(
        name="colours-paper",
        method="colours",
        file_name="models/paper.pth",
        source="https://nowhere",
        page="https://nowhere",
        licence="none",
    )

    def into_cache(card: dict[str, str]) -> None:
        published = replace(stand_in.METHOD, published={file.name: file})
        monkeypatch.setitem(METHODS, "colours", published)
        write_weights(
            clip / "cache" / "colours-paper.safetensors",
            method="colours",
            config={},
            tensors={"colour_bias": torch.zeros(())},
            card=card,
        )

    return into_cache


@pytest.mark.parametrize(
    ("card", "is_theirs"),
    [({"imported from": "paper.pth"}, True), ({"imported from": "mine.pth"}, False), ({}, False)],
)
def test_published_figures_are_printed_for_the_authors_weights_only(
    card, is_theirs, evaluate, table, install
):
    install(card)
    outcome = evaluate("--weights", "colours-paper", weights=False)
    assert outcome.exit_code == 0, outcome.error
    printed = "Colours, Nobody, On Colours, Nowhere 2020, Table 1: J&F 70.0, J 69.0"
    assert (printed in outcome.output) == is_theirs
    assert ("here: J&F " in outcome.output) == is_theirs
    tree = json.loads((table.parent / "run" / "scores.json").read_text())
    assert tree["run"]["published"] == ("colours-paper" if is_theirs else None)


def test_report_fills_the_table_of_a_page(evaluate, table, install, maskcast):
    install({"imported from": "paper.pth"})
    assert evaluate("--weights", "colours-paper", weights=False).exit_code == 0
    assert table.read_text("utf-8") == f"{BEGIN}\n{END}\n"  # evaluate edits no documents
    outcome = maskcast("report", "run", "--published", table)
    assert outcome.output.strip() == f"{table}: filled in 1 of the published rows"
    assert "J&F 70.0, J 69.0 | J&F " in table.read_text("utf-8")


def test_held_out_training_videos_are_scored_as_a_whole(evaluate, clip, maskcast):
    """LWL's Table 1: J of the held-out training videos, which a list names."""
    root = youtube_vos(
        clip / "videos", {"a": {1: 0}, "b": {1: 0, 2: 1}, "c": {1: 0}}, split="train"
    )
    (clip / "list.txt").write_text("a\nb\n")
    chosen = ["--weights", "./colours.safetensors", "--device", "cpu"]
    outcome = maskcast(
        *("evaluate", "youtube-vos-2019", "--root", root, "--split", "train"),
        *("--videos-from", "list.txt", "-o", "run", *chosen),
    )
    assert outcome.exit_code == 0, outcome.error
    tree = json.loads((clip / "run" / "scores.json").read_text())
    assert list(tree["objects"]) == ["a_1", "b_1", "b_2"]
    names = [entry["per_frame"]["names"] for entry in tree["objects"].values()]
    assert names[0] == names[1] == ["00005", "00010", "00015", "00020", "00025"]
    J = [entry["J"]["mean"] for entry in tree["objects"].values()]
    assert tree["dataset"]["J"]["mean"] == pytest.approx(sum(J) / 3)
