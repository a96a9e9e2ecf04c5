"""Every layout is read as its benchmark means it, and every fault is said in one message."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.small_sets import FRAMES, SIZE, davis2017, label_map, square, youtube_vos
from evaluation.small_sets import write_image as image
from maskcast.core.errors import DatasetError, FrameError, MissingFileError, UsageError
from maskcast.data.catalogue import DATASETS, open_dataset, protocol_of
from maskcast.data.dataset import Faults
from maskcast.io.label_maps import ids_in, write_label_map


def faults_of(name: str, root: Path, **choices: object) -> list[str]:
    """Return the problems that the error about a broken data set lists."""
    with pytest.raises(DatasetError) as caught:
        open_dataset(name, root, **choices)
    return list(caught.value.details) or [caught.value.summary]


def test_davis_2017(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0, 2: 0}, "ants": {1: 0, 3: 2}})
    dataset = open_dataset("davis2017", root)
    assert [video.name for video in dataset] == ["cows", "ants"]  # as listed
    video = dataset[1]
    assert video.size == SIZE
    assert video.frame_names == tuple(f"{index:05d}" for index in range(FRAMES))
    assert video.first_frame_of == {1: 0, 3: 2}
    assert video.wanted_frames == tuple(range(FRAMES))
    given = video.given_masks()
    assert {frame: list(masks) for frame, masks in given.items()} == {0: [1], 2: [3]}
    np.testing.assert_array_equal(given[2][3], square(3, 2))
    assert video.read_frame(3).shape == (*SIZE, 3)
    np.testing.assert_array_equal(video.read_annotation(4), label_map((1, 3), 4))


def test_void_is_no_object_in_2017_and_the_object_in_2016(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0}})
    (root / "ImageSets" / "2016").mkdir()
    (root / "ImageSets" / "2016" / "val.txt").write_text("cows\n")
    for path in (root / "Annotations" / "480p" / "cows").iterdir():
        marked = np.zeros(SIZE, np.int32)
        marked[:5, :5], marked[10:12, 10:12] = 255, 1
        write_label_map(path, marked)
    one = open_dataset("davis2016", root)[0].read_masks(0)
    assert list(one.masks) == [1]
    assert one.void is None
    assert one.masks[1].sum() == 25 + 4
    several = open_dataset("davis2017", root)[0].read_masks(0)
    assert several.masks[1].sum() == 4
    assert several.void is not None
    assert several.void.sum() == 25


def test_davis_2016_finds_its_list_in_either_place(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0}, "ants": {1: 0}})
    (root / "ImageSets" / "480p").mkdir()
    pairs = [
        f"/JPEGImages/480p/ants/{i:05d}.jpg /Annotations/480p/ants/{i:05d}.png" for i in (0, 1)
    ]
    (root / "ImageSets" / "480p" / "val.txt").write_text("\n".join(pairs))
    assert [video.name for video in open_dataset("davis2016", root)] == ["ants"]
    (root / "ImageSets" / "2016").mkdir()
    (root / "ImageSets" / "2016" / "val.txt").write_text("cows\n")
    assert [video.name for video in open_dataset("davis2016", root)] == ["cows"]


def test_full_resolution_is_found_when_it_is_what_there_is(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0}})
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p").rename(root / kind / "Full-Resolution")
    dataset = open_dataset("davis2017", root)
    assert dataset.notes == {"resolution": "Full-Resolution"}
    assert "480p/cows" in faults_of("davis2017", root, resolution="480p")[0]


def test_test_dev_needs_its_first_masks_only(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0}}, split="test-dev")
    for path in sorted((root / "Annotations" / "480p" / "cows").iterdir())[1:]:
        path.unlink()
    video = open_dataset("davis2017", root, split="test-dev")[0]
    assert video.annotated_frames == (0,)
    assert list(video.given_masks()) == [0]


def test_youtube_vos(tmp_path):
    root = youtube_vos(tmp_path, {"0a1b": {1: 0, 4: 3}}, split="valid")
    video = open_dataset("youtube-vos-2019", root)[0]
    assert video.first_frame_of == {1: 0, 4: 3}  # ids have gaps
    assert video.categories == {1: "cat", 4: "sloth"}
    assert video.frame_names[1] == "00005"


def test_youtube_vos_with_all_frames_wants_the_labelled_ones(tmp_path):
    root = youtube_vos(tmp_path, {"0a1b": {1: 0}}, split="valid")
    for number in range(5 * FRAMES):
        image(root / "valid_all_frames" / "JPEGImages" / "0a1b" / f"{number:05d}.jpg", 0)
    video = open_dataset("youtube-vos-2018", root, all_frames=True)[0]
    assert video.frame_count == 5 * FRAMES
    assert video.wanted_frames == tuple(range(0, 5 * FRAMES, 5))
    assert video.first_frame_of == {1: 0}


def test_youtube_vos_validation_without_truth_cannot_be_scored(tmp_path):
    root = youtube_vos(tmp_path, {"0a1b": {1: 0}}, split="valid")
    for path in sorted((root / "valid" / "Annotations" / "0a1b").iterdir())[1:]:
        path.unlink()
    assert len(open_dataset("youtube-vos-2018", root)) == 1
    assert "no ground truth for object 1" in faults_of("youtube-vos-2018", root, purpose="score")[0]


def lvos(root: Path) -> Path:
    """Two objects in one video; the second counts on frames 6 to 21."""
    ranges = {"1": ("00000001", "00000031"), "2": ("00000006", "00000026")}
    objects = {i: {"frame_range": {"start": s, "end": e}} for i, (s, e) in ranges.items()}
    (root / "valid").mkdir(parents=True)
    meta = root / "valid" / "valid_meta.json"
    meta.write_text(json.dumps({"videos": {"long": {"objects": objects}}}))
    for index in range(6):
        name = f"{1 + 5 * index:08d}"
        ids = (1, 2) if 1 <= index <= 4 else (1,)
        masks = root / "valid" / "Annotations" / "long"
        write_label_map(masks / f"{name}.png", label_map(ids, index))
        image(root / "valid" / "JPEGImages" / "long" / f"{name}.jpg", index)
    return root


def test_lvos(tmp_path):
    video = open_dataset("lvos", lvos(tmp_path), purpose="score")[0]
    assert video.frame_names[0] == "00000001"
    assert [each.first_frame for each in video.objects] == [0, 1]
    assert video.objects[1].counted_frames == (1, 2, 3, 4)
    counted = protocol_of("lvos").counted(
        video.annotated_frames, first_frame=1, own_range=video.objects[1].counted_frames
    )
    assert counted == (2, 3)


def test_lvos_range_beyond_the_video(tmp_path):
    root = lvos(tmp_path)
    meta = root / "valid" / "valid_meta.json"
    meta.write_text(meta.read_text().replace("00000031", "00000041"))
    assert "no frame 31, 36" in faults_of("lvos", root)[0]
    meta.write_text(meta.read_text().replace('"00000041"', str(10**15)))
    assert "no frame 31, 36" in faults_of("lvos", root)[0]


def test_mose(tmp_path):
    for index in range(3):
        image(tmp_path / "valid" / "JPEGImages" / "a1" / f"{index:05d}.JPG", index)
    write_label_map(tmp_path / "valid" / "Annotations" / "a1" / "00000.png", label_map((1, 2), 0))
    video = open_dataset("mose", tmp_path)[0]
    assert (video.frame_count, video.object_ids) == (3, (1, 2))
    assert (
        "no ground truth for frame 00001, 00002" in faults_of("mose", tmp_path, purpose="score")[0]
    )
    assert "not implemented" in faults_of("mose-v2", tmp_path, purpose="score")[0]


def test_sa_v_has_a_folder_for_each_object_and_masks_that_overlap(tmp_path):
    base = tmp_path / "sav_val"
    for index in range(4):
        image(base / "JPEGImages_24fps" / "sav_1" / f"{index:05d}.jpg", index)
    overlapping = {"000": square(1, 0), "001": square(1, 3)}
    for folder, mask in overlapping.items():
        path = base / "Annotations_6fps" / "sav_1" / folder / "00000.png"
        path.parent.mkdir(parents=True)
        Image.fromarray((mask * 255).astype(np.uint8)).save(path)
    (base / "sav_val.txt").write_text("sav_1\n")
    video = open_dataset("sa-v", tmp_path)[0]
    assert video.object_names == {1: "000", 2: "001"}
    masks = video.read_masks(0).masks
    np.testing.assert_array_equal(masks[2], square(1, 3))
    assert (masks[1] & masks[2]).any()
    shown = video.read_annotation(0)
    assert set(ids_in(shown)) == {1, 2}
    assert (shown == 1).sum() == 49  # the lower id has what both claim


@pytest.mark.parametrize("frames", ["frames", "images", "."])
def test_a_folder_at_home(tmp_path, frames):
    for index in range(3):
        image(tmp_path / "cat" / frames / f"{index:03d}.jpg", index)
        mask = square(1, index).astype(np.uint8) * 255
        path = tmp_path / "cat" / "masks" / f"{index:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(path)
    video = open_dataset("folder", tmp_path)[0]
    assert video.layout == "one_object"  # 0 and 255 only: a mask, not void
    assert video.object_ids == (1,)
    np.testing.assert_array_equal(video.read_masks(2).masks[1], square(1, 2))


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    root = davis2017(tmp_path, {"a": {1: 0}, "b": {1: 0}, "c": {1: 0}, "d": {1: 0}, "e": {1: 0}})
    annotations, images = root / "Annotations" / "480p", root / "JPEGImages" / "480p"
    (annotations / "a" / "00002.png").unlink()
    write_label_map(annotations / "b" / "00001.png", np.zeros((9, 9), np.int32))
    write_label_map(annotations / "c" / "00000.png", np.zeros(SIZE, np.int32))
    (annotations / "d" / "00000.png").write_bytes(b"not a picture")
    (images / "e" / "00001.png").write_bytes((images / "e" / "00001.jpg").read_bytes())
    with (root / "ImageSets" / "2017" / "val.txt").open("a") as names:
        names.write("absent\n")
    found = faults_of("davis2017", root, purpose="score")
    expected = ["a has no ground truth for frame 00002", "b/00001.png is 9×9", "shows no object"]
    expected += ["d/00000.png as an image", "00001.jpg, 00001.png", "480p/absent"]
    for words in expected:
        assert any(words in fault for fault in found), (words, found)


def test_order_by_name_and_by_number_must_agree(tmp_path):
    for index in (8, 9, 10):
        image(tmp_path / "cat" / "frames" / f"{index}.jpg", 0)
    write_label_map(tmp_path / "cat" / "masks" / "8.png", label_map((1,), 0))
    assert "is ambiguous: it differs by name" in faults_of("folder", tmp_path)[0]


def test_a_given_mask_without_the_object_is_a_fault(tmp_path):
    root = youtube_vos(tmp_path, {"0a1b": {1: 0, 2: 1}}, split="valid")
    path = root / "valid" / "Annotations" / "0a1b" / "00005.png"
    write_label_map(path, label_map((1,), 1))
    assert "has no mask of object 2" in faults_of("youtube-vos-2018", root)[0]


def test_a_frame_of_another_size_is_refused_when_it_is_read(tmp_path):
    root = davis2017(tmp_path, {"a": {1: 0}})
    image(root / "JPEGImages" / "480p" / "a" / "00003.jpg", 0, size=(30, 30))
    with pytest.raises(FrameError, match=r"00003\.jpg is 30×30"):
        open_dataset("davis2017", root, purpose="train")[0].read_frame(3)


def test_a_long_list_of_problems_is_complete():
    faults = Faults("it")
    for number in range(28):
        faults.add(f"fault {number}")
    faults.add(DatasetError("fault 28", details=["fault 29"]))
    with pytest.raises(DatasetError, match="30 problems with it") as caught:
        faults.raise_if_any()
    assert caught.value.details == tuple(f"fault {number}" for number in range(30))


def test_a_single_problem_is_one_line():
    faults = Faults("DAVIS")
    faults.add("no videos")
    with pytest.raises(DatasetError, match=r"^DAVIS: no videos$"):
        faults.raise_if_any()


def test_calls_that_make_no_sense(tmp_path):
    with pytest.raises(UsageError, match="unknown data set 'davis'"):
        open_dataset("davis", tmp_path)
    with pytest.raises(UsageError, match="no split 'valid'"):
        open_dataset("davis2017", tmp_path, split="valid")
    with pytest.raises(UsageError, match="does not support resolution"):
        open_dataset("lvos", tmp_path, resolution="480p")
    with pytest.raises(MissingFileError, match=r"the folder .* does not exist"):
        open_dataset("davis2017", tmp_path / "nowhere")


def test_a_video_can_be_sent_to_another_process(tmp_path):
    video = open_dataset("davis2017", davis2017(tmp_path, {"a": {1: 0}}))[0]
    assert video.objects
    assert pickle.loads(pickle.dumps(video)) == video


def test_a_part_of_a_data_set(tmp_path):
    dataset = open_dataset("davis2017", davis2017(tmp_path, {"a": {1: 0}, "b": {1: 0}}))
    assert [video.name for video in dataset.only(["b"])] == ["b"]
    with pytest.raises(DatasetError, match="no video c"):
        dataset.only(["c"])


def test_every_data_set_but_one_has_scoring_rules():
    assert [name for name, entry in DATASETS.items() if entry.protocol is None] == ["mose-v2"]


def test_an_image_of_another_size_is_known_before_anything_is_segmented(tmp_path):
    root = davis2017(tmp_path, {"a": {1: 0}})
    image(root / "JPEGImages" / "480p" / "a" / "00004.jpg", 0, size=(32, 48))
    (root / "JPEGImages" / "480p" / "a" / "00005.jpg").write_bytes(b"cut")
    found = faults_of("davis2017", root)
    assert len(found) == 2
    assert "00004.jpg is 32×48 but " in found[0]
    assert "00005.jpg as an image" in found[1]
    assert len(open_dataset("davis2017", root, purpose="score")) == 1  # reads none of them


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def one_of(**entries: st.SearchStrategy) -> st.SearchStrategy:
    """A JSON object with any of these entries, or anything else."""
    return anything | st.fixed_dictionaries({}, optional=entries)


described = one_of(
    category=anything,
    frames=anything | st.lists(st.sampled_from(["00000", "00005", 5]), max_size=2),
    frame_range=one_of(start=anything, end=anything),
)
ids = st.sampled_from(["1", "2", "x", "-1"])
metas = one_of(videos=one_of(v=one_of(objects=anything | st.dictionaries(ids, described))))


@pytest.mark.parametrize(
    ("name", "meta"), [("youtube-vos-2018", "meta.json"), ("lvos", "valid_meta.json")]
)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=metas)
def test_whatever_the_meta_file_holds_a_set_is_opened_or_its_faults_are_said(
    tmp_path, name, meta, content
):
    for stem in ("00000", "00005"):
        image(tmp_path / "valid" / "JPEGImages" / "v" / f"{stem}.jpg", 0)
    write_label_map(tmp_path / "valid" / "Annotations" / "v" / "00000.png", label_map((1,), 0))
    (tmp_path / "valid" / meta).write_text(json.dumps(content))
    try:
        dataset = open_dataset(name, tmp_path)
    except DatasetError:
        return
    for video in dataset:
        for object_id, first in video.first_frame_of.items():
            assert object_id >= 1
            assert 0 <= first < video.frame_count


@pytest.mark.parametrize("objects", [[[False, False]], [["1", {}]], ["ab"], [1], "ab", None, 3])
def test_objects_of_a_meta_file_are_a_mapping(tmp_path, objects):
    """``dict`` would make a mapping of a list of pairs, with keys that are no text."""
    root = youtube_vos(tmp_path, {"cows": {2: 1}}, split="valid")
    (root / "valid" / "meta.json").write_text(
        json.dumps({"videos": {"cows": {"objects": objects}}})
    )
    assert "{ID: …}" in str(faults_of("youtube-vos-2019", root))


NO_FOLDERS = ["a\0b", "..", "../x", "a/b", "x" * 300, ".hidden", "a\x1bb"]


@pytest.mark.parametrize("name", [*NO_FOLDERS, "", "\ud800"])
def test_names_in_a_meta_file_never_leave_the_folder(tmp_path, name):
    root = youtube_vos(tmp_path, {"cows": {2: 1}}, split="valid")
    path = root / "valid" / "meta.json"
    videos = json.loads(path.read_text())["videos"]
    path.write_text(json.dumps({"videos": {**videos, name: videos["cows"]}}))
    (fault,) = faults_of("youtube-vos-2019", root)
    assert f"{path}: invalid name" in fault


@pytest.mark.parametrize("name", [name for name in NO_FOLDERS if "/" not in name])
def test_names_in_a_list_never_leave_the_folder(tmp_path, name):
    root = davis2017(tmp_path, {"cows": {2: 0}})
    (path,) = root.rglob("val.txt")
    path.write_text(f"cows\n{name}\n")
    (fault,) = faults_of("davis2017", root)
    assert f"{path}: invalid name" in fault


def test_scoring_needs_no_images(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0}}, images=False)
    (root / "JPEGImages" / "480p" / "cows").mkdir(parents=True)
    video = open_dataset("davis2017", root, purpose="score")[0]
    assert (video.size, video.frame_count) == (SIZE, FRAMES)
    (fault,) = faults_of("davis2017", root)
    assert fault.endswith("cows contains no images")


def test_masks_alone_are_a_folder_of_videos_for_scoring(tmp_path):
    for index in range(2):
        write_label_map(tmp_path / "cows" / f"{index:05d}.png", label_map((1, 3), index))
    video = open_dataset("folder", tmp_path, purpose="score")[0]
    assert (video.name, video.frame_names) == ("cows", ("00000", "00001"))
    np.testing.assert_array_equal(video.read_annotation(1), label_map((1, 3), 1))
    assert "no folder of masks" in faults_of("folder", tmp_path)[0]


def test_an_unknown_video_lists_the_known_ones(tmp_path):
    root = davis2017(tmp_path, {"cows": {1: 0}, "ants": {1: 0}})
    dataset = open_dataset("davis2017", root)
    assert [video.name for video in dataset.only(["ants"])] == ["ants"]
    with pytest.raises(DatasetError, match="has no video bees; it has cows, ants"):
        dataset.only(["bees"])
    with pytest.raises(DatasetError, match=r"has no video cow; did you mean cows\? It has cows"):
        dataset.only(["cow"])
