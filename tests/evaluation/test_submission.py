"""Archives for the servers: what is built passes its own check; every fault is named at once."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from evaluation.small_sets import (
    FRAMES,
    SIZE,
    davis2017,
    label_map,
    members,
    packed,
    square,
    write_image,
    write_predictions,
    youtube_vos,
)
from maskcast.core.errors import DataError, UsageError
from maskcast.data.catalogue import open_dataset
from maskcast.evaluation.submission import build_submission, check_submission
from maskcast.io.label_maps import encode_label_map, write_label_map

VIDEOS = {"ants": {1: 0, 3: 0}, "cows": {1: 0}}
IDS = {name: tuple(objects) for name, objects in VIDEOS.items()}


@pytest.fixture
def dataset(tmp_path):
    root = davis2017(tmp_path / "set", VIDEOS, split="test-dev")
    for path in root.glob("Annotations/480p/*/*.png"):
        if path.stem != "00000":
            path.unlink()
    return open_dataset("davis2017", root, split="test-dev")


@pytest.fixture
def results(tmp_path):
    return write_predictions(tmp_path / "results", IDS)


def as_grey(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(Image.open(io.BytesIO(content)))).save(buffer, format="PNG")
    return buffer.getvalue()


def test_davis_has_its_videos_at_the_top(dataset, results, tmp_path):
    path = tmp_path / "out.zip"
    assert build_submission(dataset, results, path) == 2 * FRAMES
    assert sorted(members(path))[0] == "ants/00000.png"
    assert check_submission(path, dataset) == []
    picture = Image.open(io.BytesIO(members(path)["ants/00003.png"]))
    assert picture.mode == "P"
    assert picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
    np.testing.assert_array_equal(np.asarray(picture), label_map((1, 3), 3))


def test_masks_of_another_mode_get_the_palette(dataset, results, tmp_path):
    for path in results.glob("*/*.png"):
        path.write_bytes(as_grey(path.read_bytes()))
    build_submission(dataset, results, tmp_path / "out.zip")
    assert check_submission(tmp_path / "out.zip", dataset) == []


def test_the_same_masks_make_the_same_archive(dataset, results, tmp_path):
    build_submission(dataset, results, tmp_path / "one.zip")
    build_submission(dataset, results, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_youtube_vos_takes_labelled_frames_inside_annotations(tmp_path):
    root = youtube_vos(tmp_path / "set", {"v": {1: 0, 4: 2}}, split="valid")
    for number in range(5 * FRAMES):
        write_image(root / "valid_all_frames" / "JPEGImages" / "v" / f"{number:05d}.jpg", 0)
        write_label_map(tmp_path / "results" / "v" / f"{number:05d}.png", label_map((1, 4), 0))
    dataset = open_dataset("youtube-vos-2019", root, all_frames=True)
    build_submission(dataset, tmp_path / "results", tmp_path / "out.zip")
    names = [f"Annotations/v/{5 * index:05d}.png" for index in range(FRAMES)]
    assert sorted(members(tmp_path / "out.zip")) == names
    assert check_submission(tmp_path / "out.zip", dataset) == []


def test_sa_v_has_a_folder_for_each_object(tmp_path):
    base = tmp_path / "sav_val"
    for index in range(2):
        write_image(base / "JPEGImages_24fps" / "s" / f"{index:05d}.jpg", index)
    for folder, object_id in (("000", 1), ("001", 2)):
        mask = square(object_id, 0).astype(np.int32)
        write_label_map(base / "Annotations_6fps" / "s" / folder / "00000.png", mask)
        for index in range(2):
            write_label_map(tmp_path / "p" / "s" / folder / f"{index:05d}.png", mask)
    dataset = open_dataset("sa-v", tmp_path)
    assert build_submission(dataset, tmp_path / "p", tmp_path / "out.zip") == 4
    assert "s/001/00001.png" in members(tmp_path / "out.zip")
    assert check_submission(tmp_path / "out.zip", dataset) == []


def test_what_cannot_be_submitted_is_said_at_once_and_nothing_is_written(
    dataset, results, tmp_path
):
    (results / "ants" / "00002.png").unlink()
    painted = label_map((1,), 1)
    painted[-1, -1] = 7
    write_label_map(results / "cows" / "00001.png", painted)
    write_label_map(results / "cows" / "00004.png", np.zeros((3, 3), np.int32))
    with pytest.raises(DataError) as caught:
        build_submission(dataset, results, tmp_path / "out.zip")
    for words in (
        "ants: frame 00002 is missing",
        "cows: object id 7 (first on frame 00001)",
        "is 3×3",
    ):
        assert words in str(caught.value)
    assert not (tmp_path / "out.zip").exists()


def test_every_fault_of_an_archive_at_once(dataset, results, tmp_path):
    build_submission(dataset, results, tmp_path / "out.zip")
    content = members(tmp_path / "out.zip")
    del content["ants/00000.png"]  # a missing first frame
    content["ants/0006.png"] = content["ants/00005.png"]  # wrong digits
    content["ants/00001.png"] = as_grey(content["ants/00001.png"])
    content["ants/00002.png"] = encode_label_map(np.zeros((4, 4), np.int32))
    content["ants/00003.png"] = encode_label_map(np.full(SIZE, 9, np.int32))
    content["yaks/00000.png"] = content["ants/00004.png"]
    content["__MACOSX/ants/._00000.png"] = b""
    content["ants/.DS_Store"] = b""
    content = {name: data for name, data in content.items() if not name.startswith("cows")}
    faults = check_submission(packed(tmp_path / "bad.zip", content), dataset)
    expected = [
        "__MACOSX/ants/._00000.png does not",
        "yaks is not a video",
        "video cows is missing",
    ]
    expected += [
        "ants/00000.png is missing",
        "ants/0006.png is not a frame",
        "00001.png has mode L",
    ]
    expected += [
        "00002.png is 4×4, expected 24×40",
        "00003.png has object id 9, but only 1, 3 were",
    ]
    for words in expected:
        assert any(words in fault for fault in faults), (words, faults)


def test_a_folder_wrapped_around_the_videos(dataset, results, tmp_path):
    build_submission(dataset, results, tmp_path / "out.zip")
    content = {f"mine/{name}": data for name, data in members(tmp_path / "out.zip").items()}
    faults = check_submission(packed(tmp_path / "bad.zip", content), dataset)
    assert "the folder mine encloses the videos; compress its content instead" in faults


def test_annotations_left_out(tmp_path):
    root = youtube_vos(tmp_path / "set", {"v": {1: 0}}, split="valid")
    dataset = open_dataset("youtube-vos-2019", root)
    content = {"v/00000.png": encode_label_map(label_map((1,), 0))}
    faults = check_submission(packed(tmp_path / "bad.zip", content), dataset)
    assert "v/00000.png must be in the folder Annotations" in faults


def test_a_hostile_archive_is_not_read(dataset, tmp_path):
    path = packed(tmp_path / "bad.zip", {"../ants/00000.png": b"", "/etc/passwd": b""})
    faults = check_submission(path, dataset)
    assert [fault.endswith("points outside the archive") for fault in faults] == [True, True]


def test_members_that_cannot_be_read_are_named(dataset, results, tmp_path):
    build_submission(dataset, results, tmp_path / "out.zip")
    content = members(tmp_path / "out.zip")
    giant = bytearray(content["ants/00001.png"])
    giant[16:24] = (60000).to_bytes(4, "big") * 2  # width and height in the head of the PNG
    giant[29:33] = zlib.crc32(giant[12:29]).to_bytes(4, "big")
    content["ants/00001.png"] = bytes(giant)
    path = packed(tmp_path / "bad.zip", content)
    archive = bytearray(path.read_bytes())
    cut = archive.index(content["ants/00002.png"])
    archive[cut : cut + 50] = bytes(50)
    path.write_bytes(bytes(archive))
    faults = "\n".join(check_submission(path, dataset))
    assert "ants/00001.png has more than 134217728 pixels" in faults
    assert "cannot read ants/00002.png" in faults


def test_without_the_data_set_only_the_form_is_checked(results, dataset, tmp_path):
    build_submission(dataset, results, tmp_path / "out.zip")
    assert check_submission(tmp_path / "out.zip", None) == []
    content = members(tmp_path / "out.zip")
    content["ants/00002.png"] = encode_label_map(np.zeros((4, 4), np.int32))
    faults = check_submission(packed(tmp_path / "bad.zip", content), None)
    assert faults == ["ants/00002.png is 4×4, expected 24×40"]


def test_without_the_data_set_one_mask_outside_annotations_is_seen(tmp_path):
    mask = encode_label_map(label_map((1,), 0))
    content = {"Annotations/v/00000.png": mask, "v/00005.png": mask}
    faults = check_submission(packed(tmp_path / "bad.zip", content), None)
    assert faults == ["v/00005.png must be in the folder Annotations"]


def test_a_set_without_a_server(tmp_path):
    with pytest.raises(UsageError, match="there is no server for 'folder'"):
        check_submission(packed(tmp_path / "a.zip", {"a/0.png": b""}), None, "folder")
