"""Archives that are hostile are refused before anything is read."""

from __future__ import annotations

import stat
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from PIL.PngImagePlugin import PngImageFile

from maskcast.core.errors import DataError, MissingFileError
from maskcast.evaluation.archive import PredictionFiles
from maskcast.evaluation.predictions import open_predictions


def write_link(archive: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("ants/00000.png")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(member, "/etc/passwd")


def write_bomb(archive: zipfile.ZipFile) -> None:
    for index in range(3):
        archive.writestr(f"ants/{index:05d}.png", bytes(2**24), zipfile.ZIP_DEFLATED)


def write_twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("ants/00000.png", b"1")
        archive.writestr("ants/00000.png", b"2")


def write_twice_with_other_slashes(archive: zipfile.ZipFile) -> None:
    archive.writestr("ants/00000.png", b"1")
    archive.writestr("ants\\00000.png", b"2")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda z: z.writestr("../ants/00000.png", b""), "points outside the archive"),
        (lambda z: z.writestr("ants/../../00000.png", b""), "points outside the archive"),
        (lambda z: z.writestr("/ants/00000.png", b""), "points outside the archive"),
        (lambda z: z.writestr("C:\\ants\\00000.png", b""), "points outside the archive"),
        (write_link, "is a link"),
        (write_bomb, "a decompression bomb"),
        (write_twice, "occurs twice"),
        (write_twice_with_other_slashes, "occurs twice"),
        (lambda z: z.writestr("..\\ants\\00000.png", b""), "points outside the archive"),
        (
            lambda z: z.writestr("ants/0.png", bytes(99), zipfile.ZIP_LZMA),
            "unsupported compression",
        ),
        (
            lambda z: z.writestr("ants/0.png", bytes(99), zipfile.ZIP_BZIP2),
            "unsupported compression",
        ),
    ],
)
def test_refused(tmp_path, write: Callable[[zipfile.ZipFile], None], words):
    path = tmp_path / "results.zip"
    with zipfile.ZipFile(path, "w") as archive:
        write(archive)
    with pytest.raises(DataError, match=words):
        open_predictions(path, ["ants"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.zip"]  # nothing was unpacked


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_named(tmp_path, packed):
    path = tmp_path / "results.zip"
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("ants/00000.png", bytes(range(256)) * 4)
    content = bytearray(path.read_bytes())
    for place in range(60, 200, 7):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"cannot read .*results\.zip:ants/00000\.png: "):
        PredictionFiles(path).read("ants/00000.png")


def test_no_more_is_unpacked_than_the_directory_declares(tmp_path):
    path = tmp_path / "results.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ants/00000.png", bytes(2**26))
    content = path.read_bytes()
    path.write_bytes(content.replace((2**26).to_bytes(4, "little"), (999).to_bytes(4, "little")))
    files = PredictionFiles(path)
    assert files.names == ("ants/00000.png",)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"cannot read .*: Bad CRC-32"):
            files.read("ants/00000.png")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_backslashes_are_read_as_slashes(tmp_path):
    path = tmp_path / "results.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("found\\", b"")
        archive.writestr("found\\ants\\00000.png", b"content")
    predictions = open_predictions(path, ["ants"])
    assert predictions.prefix == "found/"
    assert predictions.files.read("found/ants/00000.png") == b"content"


def test_not_an_archive(tmp_path):
    (tmp_path / "results.zip").write_bytes(b"PK but no more")
    with pytest.raises(DataError, match="as a ZIP archive"):
        _ = PredictionFiles(tmp_path / "results.zip").names
    with pytest.raises(MissingFileError, match="is neither a folder nor an archive"):
        _ = PredictionFiles(tmp_path / "absent").names


def test_a_picture_that_unpacks_to_a_giant_is_never_decoded(tmp_path, monkeypatch):
    from evaluation.small_sets import davis2017, write_predictions  # noqa: PLC0415
    from maskcast.data.catalogue import open_dataset  # noqa: PLC0415

    video = open_dataset("davis2017", davis2017(tmp_path / "set", {"ants": {1: 0}}))[0]
    results = write_predictions(tmp_path / "p", {"ants": (1,)})
    path = results / "ants" / "00000.png"
    content = bytearray(path.read_bytes())
    content[16:24] = (60000).to_bytes(4, "big") * 2  # width and height in the head of the PNG
    path.write_bytes(bytes(content))
    assert video.object_ids == (1,)  # read from the masks of the set, which are decoded
    monkeypatch.setattr(PngImageFile, "load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="00000"):
        open_predictions(results, ["ants"]).read(video, 0)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "is empty"),
        ({"notes.txt": b""}, r"contains no PNGs, only files such as notes\.txt"),
        ({"dogs/00000.png": b""}, "contains no video of the data set: it has dogs, expected ants"),
    ],
)
def test_a_folder_of_something_else(tmp_path, files, words):
    folder = tmp_path / "results"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        open_predictions(folder, ["ants"])


def test_of_two_places_the_fuller_one_is_taken(tmp_path):
    for name in ("overlays/ants", "masks/ants", "masks/cows"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "00000.png").touch()
    assert open_predictions(tmp_path, ["ants", "cows"]).prefix == "masks/"
