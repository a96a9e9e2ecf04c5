"""``maskcast score`` from the command line: what it writes, and one clear message for bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from evaluation.small_sets import davis2017, label_map, write_image, write_predictions, zipped
from maskcast.io.label_maps import write_label_map

VIDEOS = {"ants": (1, 3), "cows": (1, 2)}


@pytest.fixture
def score(tmp_path, maskcast):
    """``maskcast score davis2017`` of ``results`` against ``set``, into ``out``."""
    davis2017(tmp_path / "set", {n: dict.fromkeys(ids, 0) for n, ids in VIDEOS.items()})
    write_predictions(tmp_path / "results", VIDEOS)

    def run(*arguments, results="results", root="set", dataset="davis2017"):
        places = ["--root", tmp_path / root, "--results", tmp_path / results]
        return maskcast("score", dataset, *places, "-o", tmp_path / "out", *arguments)

    return run


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_writes_both_files_and_prints_a_table(score, out):
    outcome = score("--jobs", "1")
    assert outcome.exit_code == 0, outcome.error
    assert "cows" in outcome.output
    assert "100.0" in outcome.output
    tree = json.loads((out / "scores.json").read_text())
    assert tree["schema"] == "maskcast-scores-1"
    assert set(tree["dataset"]) == {"J", "F", "J&F"}
    assert set(tree["dataset"]["J"]) == {"mean", "recall", "decay"}
    assert {"videos", "objects", "missing", "protocol"} <= set(tree)
    assert (out / "scores.csv").is_file()


def empty(results):
    shutil.rmtree(results)
    results.mkdir()


def name_other_videos(results):
    for path in list(results.iterdir()):
        path.rename(path.with_name(f"other-{path.name}"))


def remove_all(results):
    shutil.rmtree(results)


def make_all_colours(results):
    for path in results.glob("*/*.png"):
        Image.open(path).convert("RGB").save(path)


def cut_all(results):
    for path in results.glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (empty, "results is empty"),
        (name_other_videos, "contains no video of the data set: it has"),
        (remove_all, "is neither a folder nor an archive"),
        (make_all_colours, "ants/00001.png has colours (mode RGB)"),
        (cut_all, "ants/00001.png as an image"),
    ],
)
def test_nothing_to_score(score, out, tmp_path, harm, words):
    harm(tmp_path / "results")
    outcome = score("--jobs", "1")
    assert outcome.exit_code == 3
    assert words in outcome.error
    assert "Traceback" not in outcome.error
    assert not out.exists()


def remove_one(results):
    (results / "ants" / "00002.png").unlink()


def resize_one(results):
    write_label_map(results / "ants" / "00002.png", np.zeros((5, 6), np.int32))


def colour_one(results):
    path = results / "ants" / "00002.png"
    Image.open(path).convert("RGB").save(path)


def cut_one(results):
    path = results / "ants" / "00002.png"
    path.write_bytes(path.read_bytes()[:60])


def sixteen_bits(results):
    painted = label_map((1, 3), 2)
    painted[-1, -1] = 300
    write_label_map(results / "ants" / "00002.png", painted)


def paint_another(results):
    painted = label_map((1, 3), 2)
    painted[-1, -1] = 8
    write_label_map(results / "ants" / "00002.png", painted)


def remove_a_video(results):
    shutil.rmtree(results / "cows")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (remove_one, "ants/00002 is missing (scored 0)"),
        (resize_one, "ants/00002.png is 5×6, but the video is 24×40"),
        (colour_one, "ants/00002.png has colours (mode RGB)"),
        (cut_one, "ants/00002.png"),
        (sixteen_bits, "ants_300 is not in the ground truth (first on ants/00002)"),
        (paint_another, "ants_8 is not in the ground truth (first on ants/00002)"),
        (remove_a_video, "cows/00004 is missing (scored 0)"),
    ],
)
def test_the_rest_can_be_scored(score, out, tmp_path, harm, words):
    harm(tmp_path / "results")
    outcome = score("--jobs", "1")
    assert outcome.exit_code == 4
    assert "was scored with" in outcome.error.splitlines()[0]
    assert words in outcome.error
    tree = json.loads((out / "scores.json").read_text())
    assert len(tree["objects"]) == 4


def test_annotations_missing(score, out, tmp_path):
    shutil.rmtree(tmp_path / "set" / "Annotations" / "480p" / "cows")
    outcome = score()
    assert outcome.exit_code == 3
    assert "does not exist" in outcome.error
    assert "cows" in outcome.error
    assert not out.exists()


def test_a_list_that_names_an_absent_video(score, out, tmp_path):
    with (tmp_path / "set" / "ImageSets" / "2017" / "val.txt").open("a") as names:
        names.write("yaks\n")
    outcome = score()
    assert outcome.exit_code == 3
    assert "yaks" in outcome.error
    assert not out.exists()


def test_a_zip_that_escapes(score, out, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../ants/00000.png", b"")
    score(results="evil.zip").assert_one_sentence(3, "points outside the archive")
    assert not out.exists()


def test_a_zip_scores_like_its_folder(score, tmp_path):
    zipped(tmp_path / "results")
    assert score(results="results.zip").exit_code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_no_permission(score, out, tmp_path):
    (tmp_path / "results" / "ants").chmod(0)
    score().assert_one_sentence(3, "cannot be read")
    (tmp_path / "results" / "ants").chmod(0o755)
    tmp_path.chmod(0o555)
    score().assert_one_sentence(3, "is not writable")
    tmp_path.chmod(0o755)


def test_an_output_that_is_not_writable_is_refused_before_any_work(score, out, monkeypatch):
    """As root is told of no folder."""
    monkeypatch.setattr("maskcast.core.files.os.access", lambda *_: False)
    score("--jobs", "1").assert_one_sentence(3, "is not writable")
    assert not out.exists()


def test_an_output_that_is_a_file(score, out):
    out.write_text("mine")
    score().assert_one_sentence(3, "is a file")
    assert out.read_text() == "mine"


def test_an_unreadable_folder_is_named(score, out, monkeypatch):
    """Without root's rights a folder can be closed; with them the call itself is made to fail."""

    def closed(path, onerror):
        onerror(PermissionError(13, "Permission denied", str(path)))
        return iter(())

    monkeypatch.setattr("maskcast.evaluation.archive.os.walk", closed)
    score().assert_one_sentence(3, "results: Permission denied")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--skip-first", "--keep-first"], "exclude each other"),
        (["--unseen", "nothing.txt"], "has no unseen group"),
    ],
)
def test_choices_that_make_no_sense(score, arguments, words):
    score(*arguments).assert_one_sentence(2, words)


def test_a_data_set_that_nobody_knows(score):
    score(dataset="davis").assert_one_sentence(2, "unknown data set 'davis'")


def test_the_last_frame_can_be_kept(score, out):
    assert score("--keep-last", "--jobs", "1").exit_code == 0
    tree = json.loads((out / "scores.json").read_text())
    assert tree["objects"]["ants_1"]["per_frame"]["names"][-1] == "00005"
    assert tree["protocol"]["skip_last"] is False


def test_with_skip_first_a_folder_scores_as_evaluate_scored_it(maskcast, tmp_path):
    for frame_index in range(4):
        write_image(tmp_path / f"set/ants/frames/{frame_index:05}.png", frame_index)
        write_label_map(
            tmp_path / f"set/ants/masks/{frame_index:05}.png", label_map([1], frame_index)
        )
    files = ("--root", tmp_path / "set")
    made = maskcast(
        *("evaluate", "folder", *files, "--method", "copy-first", "-o", tmp_path / "made")
    )
    assert made.exit_code == 0, made.error
    results = ("--results", tmp_path / "made" / "masks", "--jobs", "1")
    counted = maskcast("score", "folder", *files, *results)
    same = maskcast("score", "folder", *files, *results, "--skip-first")

    def end(output: str) -> list[str]:
        return [line for line in output.splitlines() if " all " in line or "that count" in line]

    assert len(end(same.output)) == 2
    assert end(same.output) == end(made.output)
    assert end(counted.output)[0] != end(made.output)[0]
    assert "score --skip-first leaves out the first one" in end(counted.output)[1]


def test_ids_that_do_not_exist_count_on_request(score, out, tmp_path):
    paint_another(tmp_path / "results")
    score("--count-extra-objects", "--jobs", "1")
    tree = json.loads((out / "scores.json").read_text())
    # from frame 2 on, where it is painted and wrong; gone on 3 and 4, and right
    assert tree["objects"]["ants_8"]["per_frame"]["J"] == [0, 1, 1]
    refused = score("--count-extra-objects", dataset="lvos")
    refused.assert_one_sentence(2, "LVOS averages over groups, and extra ids belong to none")


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_less_than_one_process_is_refused(score, out, jobs):
    score("--jobs", jobs).assert_one_sentence(2, f"jobs must be at least 1, got {jobs} (--jobs)")
    assert not out.exists()


def test_scoring_does_not_load_torch():
    """It would take ten times the memory, in every process."""
    loads = "from maskcast.evaluation import score_results, submission"
    code = f"import sys; {loads}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scores_only_the_videos_that_are_named(score, out):
    outcome = score("--jobs", "1", "--videos", "cows")
    assert outcome.exit_code == 0, outcome.error
    assert list(json.loads((out / "scores.json").read_text())["videos"]) == ["cows"]
    unknown = score("--jobs", "1", "--videos", "bees")
    assert unknown.exit_code == 3
    assert "has no video bees; it has ants, cows" in unknown.error


def test_scores_only_the_videos_of_a_list(score, out, tmp_path):
    (tmp_path / "list.txt").write_text("cows\n")
    outcome = score("--jobs", "1", "--videos-from", tmp_path / "list.txt")
    assert outcome.exit_code == 0, outcome.error
    assert list(json.loads((out / "scores.json").read_text())["videos"]) == ["cows"]
    missing = score("--jobs", "1", "--videos-from", tmp_path / "no-list.txt")
    missing.assert_one_sentence(3, "no-list.txt does not exist")
