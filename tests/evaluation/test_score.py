"""What is scored, what is missing, and that neither archive nor number of processes matters."""

from __future__ import annotations

import json
import os
import tracemalloc
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from evaluation.small_sets import (
    FRAMES,
    SIZE,
    davis2017,
    label_map,
    square,
    write_predictions,
    youtube_vos,
    zipped,
)
from maskcast.core.errors import DataError, DatasetError, MaskcastError
from maskcast.core.palette import PALETTE
from maskcast.data.catalogue import open_dataset, protocol_of
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.predictions import open_predictions
from maskcast.evaluation.score import FRAMES_PER_PROCESS, score_dataset
from maskcast.evaluation.scores import Scores, make_scores, per_cent, read_scores
from maskcast.evaluation.verdict import shortcomings
from maskcast.io.label_maps import write_label_map
from maskcast.metrics.region import region_similarity

VIDEOS = {"ants": {1: 0, 3: 0}, "cows": {1: 0, 2: 3}}
IDS = {name: tuple(objects) for name, objects in VIDEOS.items()}


@pytest.fixture
def root(tmp_path):
    return davis2017(tmp_path / "set", VIDEOS, images=False)


def scores_of(root, results, *, name="davis2017", jobs=1, **changes) -> Scores:
    dataset = open_dataset(name, root, purpose="score")
    protocol = replace(protocol_of(name), **changes)
    predictions = open_predictions(results, [video.name for video in dataset])
    groups = groups_of(dataset)
    scored = score_dataset(dataset, predictions, protocol, jobs=jobs)
    return make_scores(dataset, scored, protocol, results=str(results), groups=groups)


def test_perfect_predictions(root, tmp_path):
    scores = scores_of(root, write_predictions(tmp_path / "p", IDS))
    assert scores.dataset["J&F"] == 1
    assert scores.complete
    assert shortcomings(scores) == []
    assert set(scores.objects) == {"ants_1", "ants_3", "cows_1", "cows_2"}


def test_exchanged_ids_are_named_and_change_no_figure(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    for path in (results / "ants").glob("*.png"):
        right = np.array(Image.open(path))
        write_label_map(path, np.array([0, 3, 2, 1], np.int32)[right])
    scores = scores_of(root, results)
    assert scores.tree["exchanged_ids"] == [
        "ants: the masks of 3 fit object 1 (J 100), the masks of 1 fit object 3 (J 100); were the "
        "ids exchanged?"
    ]
    assert scores.objects["ants_1"]["J"]["mean"] == scores.objects["ants_3"]["J"]["mean"] == 0
    assert scores.videos["cows"]["J&F"] == 1
    assert scores.complete and shortcomings(scores) == []


def test_masks_that_fit_no_other_object_are_not_called_exchanged(root, tmp_path):
    scores = scores_of(root, write_predictions(tmp_path / "p", IDS, shift=7))
    assert scores.objects["ants_1"]["J"]["mean"] == 0
    assert scores.tree["exchanged_ids"] == []


def test_late_objects_count_after_their_own_first_frame(root, tmp_path):
    scores = scores_of(root, write_predictions(tmp_path / "p", IDS, shift=2))
    assert scores.objects["ants_3"]["per_frame"]["names"] == ["00001", "00002", "00003", "00004"]
    assert scores.objects["cows_2"]["per_frame"]["names"] == ["00004"]
    J = region_similarity(square(2, 6), square(2, 4))
    assert scores.objects["cows_2"]["J"]["mean"] == J == 35 / 63
    assert scores.videos["cows"]["frames"] == 4  # of its other object


def test_a_missing_frame_is_worth_nothing_and_is_listed(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    (results / "ants" / "00002.png").unlink()
    scores = scores_of(root, results)
    assert scores.tree["missing"] == ["ants/00002"]
    assert scores.objects["ants_1"]["per_frame"]["J"] == [1, 0, 1, 1]
    assert scores.objects["ants_1"]["F"]["mean"] == 0.75
    assert shortcomings(scores) == ["ants/00002 is missing (scored 0)"]


def test_frames_that_do_not_count_may_be_missing(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    for name in IDS:
        (results / name / "00000.png").unlink()
        (results / name / "00005.png").unlink()
    assert scores_of(root, results).complete


def test_ids_that_do_not_exist_are_listed_and_change_nothing(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    painted = label_map((1, 3), 3)
    painted[-1, -1] = 9
    write_label_map(results / "ants" / "00003.png", painted)
    scores = scores_of(root, results)
    assert scores.tree["extra_objects"] == {"ants_9": "ants/00003"}
    assert scores.dataset["J&F"] == 1
    assert shortcomings(scores) == ["ants_9 is not in the ground truth (first on ants/00003)"]


def test_ids_that_do_not_exist_count_on_request(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    painted = label_map((1, 3), 3)
    painted[-1, -1] = 9
    write_label_map(results / "ants" / "00003.png", painted)
    scores = scores_of(root, results, count_extra_objects=True)
    # painted on frame 3, where it is wrong, and gone on frame 4, where it is right
    assert scores.objects["ants_9"]["per_frame"]["J"] == [0, 1]
    assert scores.dataset["J"]["mean"] == pytest.approx((4 + 0.5) / 5)


def test_an_id_before_its_truth_is_not_an_extra_one(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)  # cows_2 is predicted from frame 0 on
    assert scores_of(root, results).tree["extra_objects"] == {}


@pytest.mark.parametrize("around", ["", "Annotations/", "mine/results/480p/"])
def test_folders_around_the_videos_do_not_matter(root, tmp_path, around):
    write_predictions(tmp_path / "p" / around, IDS, shift=1)
    expected = scores_of(root, write_predictions(tmp_path / "plain", IDS, shift=1))
    assert scores_of(root, tmp_path / "p").objects == expected.objects


def test_an_archive_scores_like_its_folder(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS, shift=1)
    expected = scores_of(root, results)
    found = scores_of(root, zipped(results))
    assert found.objects == expected.objects


def test_processes_do_not_change_anything(tmp_path):
    frames = FRAMES_PER_PROCESS  # of two videos, so that two processes are worth starting
    videos = {"long": {1: 0}, "other": {1: 0}}
    root = davis2017(tmp_path / "set", videos, images=False, frames=frames)
    results = write_predictions(tmp_path / "p", dict.fromkeys(videos, (1,)), shift=1, frames=frames)
    (results / "other" / "00007.png").unlink()
    alone, together = scores_of(root, results), scores_of(root, results, jobs=2)
    assert alone.tree == together.tree


class Dying:
    """Stands for a pool whose processes are killed."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, *_):
        future = Future()
        future.set_exception(BrokenProcessPool())
        return future


def test_a_process_that_dies_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("maskcast.evaluation.score.ProcessPoolExecutor", Dying)
    monkeypatch.setattr("maskcast.evaluation.score.FRAMES_PER_PROCESS", 1)
    root = davis2017(tmp_path / "set", {"a": {1: 0}, "b": {1: 0}}, images=False)
    results = write_predictions(tmp_path / "p", {"a": (1,), "b": (1,)})
    with pytest.raises(MaskcastError, match="died, usually because memory ran out"):
        scores_of(root, results, jobs=2)


def test_a_prediction_of_another_kind_is_worth_nothing_and_is_named(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    (results / "ants" / "00001.png").write_bytes(b"\x89PNG but no more")
    write_label_map(results / "ants" / "00002.png", np.zeros((5, 5), np.int32))
    scores = scores_of(root, results)
    assert len(scores.tree["faults"]) == 2
    assert "ants/00002.png is 5×5, but the video is 24×40" in scores.tree["faults"][1]
    assert scores.objects["ants_1"]["per_frame"]["J"] == [0, 0, 1, 1]


def test_sixteen_bits_are_read_as_ids(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    painted = label_map((1, 3), 2)
    painted[-1, -1] = 700
    write_label_map(results / "ants" / "00002.png", painted)
    scores = scores_of(root, results)
    assert scores.tree["extra_objects"] == {"ants_700": "ants/00002"}
    assert scores.objects["ants_1"]["J"]["mean"] == 1


def test_void_counts_as_background_in_davis_and_not_at_all_elsewhere(tmp_path):
    root = davis2017(tmp_path / "set", {"ants": {1: 0}}, images=False)
    for index in range(FRAMES):
        painted = label_map((1,), index)
        painted[-4:, -4:] = 255
        write_label_map(root / "Annotations" / "480p" / "ants" / f"{index:05d}.png", painted)
        painted[painted == 255] = 1  # the prediction covers what is void
        write_label_map(tmp_path / "p" / "ants" / f"{index:05d}.png", painted)
    assert scores_of(root, tmp_path / "p").dataset["J"]["mean"] == 49 / (49 + 16)
    (root / "JPEGImages").mkdir()
    (root / "Annotations" / "480p" / "ants").rename(root / "Annotations" / "ants")
    (root / "Annotations" / "480p").rmdir()
    assert scores_of(root, tmp_path / "p", name="folder").dataset["J&F"] == 1


def test_an_object_without_a_frame_that_counts_is_set_aside(tmp_path):
    root = davis2017(tmp_path / "set", {"ants": {1: 0, 2: FRAMES - 1}}, images=False)
    scores = scores_of(root, write_predictions(tmp_path / "p", {"ants": (1, 2)}))
    assert scores.tree["unscored"] == ["ants_2"]
    assert list(scores.objects) == ["ants_1"]
    assert scores.dataset["J&F"] == 1


def test_seen_and_unseen_categories(tmp_path):
    root = youtube_vos(tmp_path, {"t": {1: 0}}, split="train")  # shows cats only
    youtube_vos(root, {"v": {1: 0, 2: 2}}, split="valid")
    for index in range(FRAMES):
        painted = label_map((1,), index) + label_map((2,), index, shift=2)
        write_label_map(tmp_path / "p" / "v" / f"{5 * index:05d}.png", painted)
    scores = scores_of(root, tmp_path / "p", name="youtube-vos-2018")
    groups = scores.dataset["groups"]
    assert groups["seen"]["J"]["mean"] == 1
    assert groups["unseen"]["J"]["mean"] == pytest.approx(35 / 63)
    assert scores.objects["v_2"]["group"] == "unseen"
    assert scores.objects["v_2"]["category"] == "sloth"
    assert scores.objects["v_2"]["per_frame"]["names"] == ["00015", "00020", "00025"]
    four = [groups[group][measure]["mean"] for group in groups for measure in ("J", "F")]
    assert scores.dataset["J&F"] == pytest.approx(sum(four) / 4)


def test_without_a_list_there_are_no_groups(tmp_path):
    root = youtube_vos(tmp_path, {"v": {1: 0}}, split="valid")
    write_label_map(tmp_path / "p" / "v" / "00005.png", label_map((1,), 1))
    scores = scores_of(root, tmp_path / "p", name="youtube-vos-2018")
    assert "groups" not in scores.dataset
    assert scores.tree["protocol"]["groups"] is None


def test_files_hold_full_precision_and_come_back(root, tmp_path):
    scores = scores_of(root, write_predictions(tmp_path / "p", IDS, shift=1))
    scores.write(tmp_path / "out")
    assert read_scores(tmp_path / "out").tree == scores.tree
    assert scores.objects["ants_1"]["J"]["mean"] == 42 / 56
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert rows[0].startswith("level,name,J mean,J recall")
    assert [row.split(",")[0] for row in rows[1:]] == ["data set", *["video"] * 2, *["object"] * 4]
    assert f"object,ants_1,{42 / 56!r}," in rows[4]


def test_a_file_of_another_schema_is_refused(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps({"schema": "maskcast-scores-99"}))
    with pytest.raises(DataError, match="has schema maskcast-scores-99"):
        read_scores(tmp_path)
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(DataError, match=r"is not a scores\.json"):
        read_scores(tmp_path)


def test_a_file_names_its_data_set(root, tmp_path):
    scores = scores_of(root, write_predictions(tmp_path / "p", IDS))
    scores.write(tmp_path / "out")
    path = tmp_path / "out" / "scores.json"
    tree = json.loads(path.read_text())
    tree["protocol"]["dataset"] = None
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="is damaged"):
        read_scores(tmp_path / "out")


def test_truth_that_cannot_be_read_stops_the_scoring(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    dataset = open_dataset("davis2017", root, purpose="score")
    path = root / "Annotations" / "480p" / "cows" / "00002.png"
    path.write_bytes(path.read_bytes()[:60])  # the head is still fine
    predictions = open_predictions(results, list(IDS))
    with pytest.raises(DataError, match=r"cannot read .*cows/00002\.png as an image"):
        score_dataset(dataset, predictions, protocol_of("davis2017"))


def test_truth_for_given_masks_only_cannot_be_scored(tmp_path):
    root = davis2017(tmp_path / "set", {"ants": {1: 0}}, images=False, frames=2)
    results = write_predictions(tmp_path / "p", {"ants": (1,)}, frames=2)
    with pytest.raises(DatasetError, match="has no frame to score"):
        scores_of(root, results)


def test_memory_does_not_grow_with_the_video(tmp_path):
    """Thirty frames more take less than six label maps more."""
    root = davis2017(tmp_path / "set", {"ants": {1: 0}}, images=False, frames=40)
    results = write_predictions(tmp_path / "p", {"ants": (1,)}, frames=40)

    def peak(frames: int) -> int:
        dataset = open_dataset("davis2017", root, purpose="score")
        video = dataset[0]
        files = {index: video.annotation_files[index] for index in range(frames)}
        object.__setattr__(video, "annotation_files", files)
        predictions = open_predictions(results, ["ants"])
        tracemalloc.start()
        score_dataset(dataset, predictions, protocol_of("davis2017"))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(40)
    assert peak(40) - peak(10) < 6 * SIZE[0] * SIZE[1] * 4


@pytest.mark.parametrize(
    ("value", "shown"), [(0.12345, "12.3"), (-0.0004, "0.0"), (-0.1, "-10.0"), (None, "–")]
)
def test_figures_in_per_cent(value, shown):
    assert per_cent(value) == shown
    assert per_cent(float("nan")) == "–"


def moved(source, target, rename):
    """Copy predictions with other names."""
    for path in sorted(source.rglob("*.png")):
        copy = target / rename(path.relative_to(source).as_posix())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return target


def test_masks_of_frames_that_the_set_does_not_have_are_reported(root, tmp_path):
    good = write_predictions(tmp_path / "p", IDS)
    later = moved(good, tmp_path / "q", lambda name: f"{name[:-9]}{int(name[-9:-4]) + 1:05d}.png")
    scores = scores_of(root, later)
    assert [line for line in shortcomings(scores) if "missing" not in line] == [
        f"{video} has masks of 00006, which the data set does not have, and none of 00000; name "
        "masks after the frames"
        for video in VIDEOS
    ]
    assert not scores.complete


def test_masks_of_all_frames_may_be_scored_where_some_are_annotated(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    (results / "ants" / "00077.png").write_bytes((results / "ants" / "00000.png").read_bytes())
    assert shortcomings(scores_of(root, results)) == []


@pytest.mark.parametrize("ending", [".PNG", ".Png"])
def test_endings_in_upper_case_are_read(root, tmp_path, ending):
    results = moved(
        write_predictions(tmp_path / "p", IDS), tmp_path / "q", lambda name: name[:-4] + ending
    )
    for source in (results, zipped(results)):
        scores = scores_of(root, source)
        assert (scores.dataset["J&F"], scores.complete) == (1, True)


def test_names_that_differ_by_case_alone_are_refused(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    (results / "ants" / "00001.PNG").write_bytes(b"")
    with pytest.raises(DataError, match=r"two files for one mask \(ants/00001\.[pP]"):
        scores_of(root, results)


def test_a_folder_per_object_is_read(root, tmp_path):
    for name, objects in VIDEOS.items():
        for object_id, first in objects.items():
            for index in range(first, FRAMES):
                mask = 255 * square(object_id, index).astype(np.int32)
                write_label_map(tmp_path / f"p/{name}/{object_id}/{index:05d}.png", mask)
    scores = scores_of(root, tmp_path / "p")
    assert (scores.dataset["J&F"], scores.complete) == (1, True)


def resaved(path, how):
    """Save a label map as another program might, with the same colours on the screen."""
    picture = Image.open(path)
    if how == "sorted":
        order = np.argsort([sum(colour) for colour in PALETTE], kind="stable")[::-1]
        values = np.argsort(order)[np.asarray(picture)].astype(np.uint8)
        picture = Image.fromarray(values)
        picture.putpalette([channel for value in order for channel in PALETTE[value]])
    elif how == "optimised":
        picture = picture.quantize(8)
    elif how == "grey":
        picture = Image.fromarray(np.asarray(picture))
    elif how == "colours":
        grey = np.asarray(picture)
        picture = Image.fromarray(np.stack([grey] * 3, axis=-1))
    elif how == "VOC":
        colours = [192 if channel == 191 else channel for c in PALETTE for channel in c]
        picture.putpalette(colours)
    elif how == "indexed grey":
        picture.putpalette([value for value in range(256) for _ in range(3)])
    picture.save(path)


@pytest.mark.parametrize("how", ["sorted", "optimised", "grey", "colours", "VOC", "indexed grey"])
def test_label_maps_that_were_saved_again_keep_their_ids(root, tmp_path, how):
    results = write_predictions(tmp_path / "p", IDS)
    for path in results.rglob("*.png"):
        resaved(path, how)
    scores = scores_of(root, results)
    assert (scores.dataset["J&F"], scores.complete) == (1, True)


def test_a_palette_in_an_unknown_order_is_reported(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    picture = Image.fromarray(np.asarray(Image.open(results / "ants" / "00001.png")) + 1)
    picture.putpalette([9, 8, 7, 0, 0, 0, 5, 6, 7, 200, 3, 4, 0, 77, 0])
    picture.save(results / "ants" / "00001.png")
    line, *_ = shortcomings(scores_of(root, results))
    assert "has a palette in an unknown order, in which black has the value 1" in line


def test_a_pipe_among_results_is_reported(root, tmp_path):
    results = write_predictions(tmp_path / "p", IDS)
    (results / "ants" / "00001.png").unlink()
    os.mkfifo(results / "ants" / "00001.png")
    (line,) = shortcomings(scores_of(root, results))
    assert line.endswith("00001.png: it is not a regular file (scored 0)")
