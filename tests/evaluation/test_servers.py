"""Every server's archive, name by name: what is in it, where, and what is refused at once.

Names are written out here rather than derived, after the layouts that the servers publish.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.small_sets import SIZE, label_map, members, packed, write_image
from maskcast.core.errors import DataError
from maskcast.core.palette import palette_bytes
from maskcast.data.catalogue import open_dataset
from maskcast.data.dataset import Dataset
from maskcast.evaluation.submission import build_submission, check_submission
from maskcast.io.label_maps import encode_label_map, write_label_map


@dataclass(frozen=True)
class Server:
    """One data set with hidden truth, and what its server wants."""

    make: Callable[[Path], Dataset]
    ids: tuple[int, ...]
    predicted: Sequence[str]
    """Names of the frames a method segments, of the one video ``v``."""
    wanted: Sequence[str]
    """Members of the archive, in order."""


def davis_test_dev(root: Path) -> Dataset:
    names = root / "ImageSets" / "2017" / "test-dev.txt"
    names.parent.mkdir(parents=True)
    names.write_text("v\n")
    for index in range(4):
        write_image(root / "JPEGImages" / "480p" / "v" / f"{index:05d}.jpg", index)
    mask = root / "Annotations" / "480p" / "v" / "00000.png"
    write_label_map(mask, label_map((1, 2), 0))
    return open_dataset("davis2017", root, split="test-dev")


def mose(root: Path) -> Dataset:
    for index in range(4):
        write_image(root / "valid" / "JPEGImages" / "v" / f"{index:05d}.jpg", index)
    write_label_map(root / "valid" / "Annotations" / "v" / "00000.png", label_map((1, 2), 0))
    return open_dataset("mose", root)


def mose_v2(root: Path) -> Dataset:
    mose(root)
    return open_dataset("mose-v2", root)


def youtube_vos(root: Path) -> Dataset:
    """All frames at 30 a second; object 5 begins on the second label."""
    for number in range(0, 15, 5):
        write_image(root / "valid" / "JPEGImages" / "v" / f"{number:05d}.jpg", number)
    for number in range(11):
        folder = root / "valid_all_frames" / "JPEGImages" / "v"
        write_image(folder / f"{number:05d}.jpg", number)
    masks = root / "valid" / "Annotations" / "v"
    write_label_map(masks / "00000.png", label_map((2,), 0))
    write_label_map(masks / "00005.png", label_map((2, 3), 1))
    objects = {
        "2": {"category": "cat", "frames": ["00000", "00005", "00010"]},
        "3": {"category": "sloth", "frames": ["00005", "00010"]},
    }
    (root / "valid" / "meta.json").write_text(json.dumps({"videos": {"v": {"objects": objects}}}))
    return open_dataset("youtube-vos-2019", root, all_frames=True)


def lvos(root: Path) -> Dataset:
    """Images of every frame, eight digits from 00000001; object 3 begins on the second label."""
    for number in range(1, 13):
        write_image(root / "test" / "JPEGImages" / "v" / f"{number:08d}.jpg", number)
    masks = root / "test" / "Annotations" / "v"
    write_label_map(masks / "00000001.png", label_map((1,), 0))
    write_label_map(masks / "00000006.png", label_map((1, 3), 1))
    ranges = {"1": ("00000001", "00000016"), "3": ("00000006", "00000016")}
    objects = {i: {"frame_range": {"start": s, "end": e}} for i, (s, e) in ranges.items()}
    meta = root / "test" / "test_meta.json"
    meta.write_text(json.dumps({"videos": {"v": {"objects": objects}}}))
    return open_dataset("lvos", root, split="test")


FOUR = [f"{index:05d}" for index in range(4)]
SERVERS = {
    "davis": Server(
        davis_test_dev, (1, 2), FOUR, ["v/00000.png", "v/00001.png", "v/00002.png", "v/00003.png"]
    ),
    "mose": Server(mose, (1, 2), FOUR, [f"v/{name}.png" for name in FOUR]),
    "mose-v2": Server(mose_v2, (1, 2), FOUR, [f"v/{name}.png" for name in FOUR]),
    "youtube-vos": Server(
        youtube_vos,
        (2, 3),
        [f"{number:05d}" for number in range(11)],
        ["Annotations/v/00000.png", "Annotations/v/00005.png", "Annotations/v/00010.png"],
    ),
    "lvos": Server(
        lvos,
        (1, 3),
        [f"{number:08d}" for number in range(1, 13)],
        ["Annotations/v/00000001.png", "Annotations/v/00000006.png", "Annotations/v/00000011.png"],
    ),
}


@pytest.fixture(params=SERVERS)
def server(request) -> Server:
    return SERVERS[request.param]


@pytest.fixture
def dataset(server, tmp_path) -> Dataset:
    return server.make(tmp_path / "set")


@pytest.fixture
def results(server, tmp_path) -> Path:
    """A mask for every frame that a method segments, whether it is wanted or not."""
    for index, name in enumerate(server.predicted):
        path = tmp_path / "results" / "v" / f"{name}.png"
        write_label_map(path, label_map(server.ids, index % 6))
    return tmp_path / "results"


def in_colours(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


def test_the_archive_holds_what_the_server_wants_and_nothing_else(
    server, dataset, results, tmp_path
):
    assert build_submission(dataset, results, tmp_path / "out.zip") == len(server.wanted)
    found = members(tmp_path / "out.zip")
    assert list(found) == list(server.wanted)
    assert check_submission(tmp_path / "out.zip", dataset) == []
    for name, content in found.items():
        picture = Image.open(io.BytesIO(content))
        assert picture.mode == "P"
        assert bytes(picture.getpalette())[:30] == bytes(palette_bytes())[:30]
        frame_index = server.predicted.index(Path(name).stem)
        expected = label_map(server.ids, frame_index % 6)
        np.testing.assert_array_equal(np.asarray(picture), expected)


def test_all_that_is_missing_or_wrong_in_the_masks_is_one_message(
    server, dataset, results, tmp_path
):
    first, second, last = (Path(name).stem for name in (*server.wanted[:2], server.wanted[-1]))
    (results / "v" / f"{first}.png").unlink()
    write_label_map(results / "v" / f"{second}.png", np.full(SIZE, 9, np.int32))
    write_label_map(results / "v" / f"{last}.png", np.zeros((3, 4), np.int32))
    with pytest.raises(DataError) as caught:
        build_submission(dataset, results, tmp_path / "out.zip")
    message = str(caught.value)
    assert f"v: frame {first} is missing" in message
    assert f"object id 9 (first on frame {second}) was not given" in message
    assert f"{last}.png is 3×4, but the video is 24×40" in message
    assert not (tmp_path / "out.zip").exists()


def test_every_fault_of_an_archive_is_listed_at_once(server, dataset, results, tmp_path):
    build_submission(dataset, results, tmp_path / "out.zip")
    content = members(tmp_path / "out.zip")
    first, second, last = (*server.wanted[:2], server.wanted[-1])
    around = first.removesuffix(f"v/{Path(first).name}")
    content[f"{around}v/7.png"] = content.pop(first)  # another number of digits
    content[second] = in_colours(content[second])
    content[last] = encode_label_map(np.full(SIZE, 9, np.int32))
    content[f"{around}other/{Path(first).name}"] = content[second]
    content[f"{around}v/notes.txt"] = b""
    faults = check_submission(packed(tmp_path / "bad.zip", content), dataset)
    given = ", ".join(map(str, server.ids))
    were = "was" if len(server.ids) == 1 else "were"
    assert sorted(faults) == sorted(
        [
            f"{around}v/notes.txt does not belong in the archive",
            "other is not a video of the data set",
            f"v/{Path(first).name} is missing",
            "v/7.png is not a frame of the submission",
            f"{second} has mode RGB, but the server requires indexed PNGs (mode P)",
            f"v/{Path(last).name} has object id 9, but only {given} {were} given",
        ]
    )


def test_the_folder_around_the_videos_has_to_be_the_servers(server, dataset, results, tmp_path):
    build_submission(dataset, results, tmp_path / "out.zip")
    around = server.wanted[0].startswith("Annotations/")
    content = {
        name.removeprefix("Annotations/") if around else f"mine/{name}": data
        for name, data in members(tmp_path / "out.zip").items()
    }
    faults = check_submission(packed(tmp_path / "bad.zip", content), dataset)
    expected = "must be in the folder Annotations" if around else "the folder mine encloses the vid"
    assert any(expected in fault for fault in faults), faults


def test_a_frame_between_the_labels_is_not_wanted(tmp_path):
    """LVOS and YouTube-VOS take labels only; one mask more is a fault, not a bonus."""
    for name in ("lvos", "youtube-vos"):
        server = SERVERS[name]
        dataset = server.make(tmp_path / name)
        mask = encode_label_map(label_map(server.ids, 0))
        between = f"Annotations/v/{server.predicted[2]}.png"
        archive = packed(tmp_path / f"{name}.zip", dict.fromkeys([*server.wanted, between], mask))
        faults = check_submission(archive, dataset)
        assert faults == [f"v/{server.predicted[2]}.png is not a frame of the submission"]
