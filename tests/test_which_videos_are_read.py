"""The rows about videos and results of docs/what-maskcast-reads.md are tested with files."""

from __future__ import annotations

import logging
import os
import re
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from evaluation.small_sets import FRAMES, davis2017, label_map, square
from fixtures.video_files import (
    VideoRecipe,
    cut_file,
    numbered_picture,
    write_numbered_video,
    write_sound,
)
from maskcast.core.errors import DataError, VideoError
from maskcast.data.catalogue import DatasetChoice, protocol_of
from maskcast.evaluation.score_results import score_results
from maskcast.io.label_maps import encode_label_map
from maskcast.io.video.source import describe_video, open_frames

PAGE = Path(__file__).parent.parent / "docs" / "what-maskcast-reads.md"
VIDEOS, RESULTS = "words of `maskcast info`, a warning or the error", "words of the error"
STEADY = {"time_base": Fraction(1, 25), "tick": lambda i: i}


def rows(mark: str) -> dict[str, tuple[str, str]]:
    """The first column of the table with this heading, with the two others."""
    found: dict[str, tuple[str, str]] = {}
    inside = False
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-1] == mark:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and len(cells) == 3 and not cells[0].startswith("---"):
            found[cells[0]] = cells[1], (re.findall(r"`([^`]+)`", cells[2]) or [""])[0]
    return found


def video(name: str, **changes: object) -> Callable[[Path], Path]:
    return lambda folder: write_numbered_video(folder / name, VideoRecipe(**changes))


def joined(folder: Path) -> Path:
    part = video("a.ts", **STEADY)(folder)
    part.write_bytes(part.read_bytes() * 2)
    return part


def still_first(folder: Path) -> Path:
    path = folder / "a.mkv"
    with av.open(path, "w") as container:
        streams = [(container.add_stream("mjpeg", rate=25), 1, "yuvj420p")]
        streams += [(container.add_stream("libx264", rate=25), 12, "yuv420p")]
        for stream, _, pixel_format in streams:
            stream.height, stream.width, stream.pix_fmt = 48, 64, pixel_format
        for stream, count, _ in streams:
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number, (48, 64)), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def cut(folder: Path) -> Path:
    options = {"movflags": "faststart"}
    return cut_file(video("a.mp4", count=24, container_options=options)(folder), 0.8)


def sound(folder: Path) -> Path:
    write_sound(folder / "a.mp4")
    return folder / "a.mp4"


def playlist(folder: Path) -> Path:
    (folder / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    return folder / "a.m3u8"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.mp4")
    return folder / "a.mp4"


def pictures(names: list[str], picture: Image.Image) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name in names:
            picture.save(folder / name)
        return folder

    return write


def animation(folder: Path) -> Path:
    pages = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(3)]
    pages[0].save(folder / "a.webp", save_all=True, append_images=pages[1:])
    return folder / "a.webp"


PLAIN = Image.new("RGB", (8, 8))
FEW_BITS = Image.fromarray(np.full((8, 8), 1000, np.uint16))
B_FRAMES = {"bf": "2", "g": "6"}
VIDEO_FILES: dict[str, list[Callable[[Path], Path]]] = {
    "mp4, mov": [video("a.mp4"), video("a.mov"), video("a.mkv")],
    "avi, ts": [
        video(name, codec=codec, options=B_FRAMES, **STEADY)
        for name, codec in (("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video"))
    ],
    "transport streams": [joined],
    "interlaced": [video("a.mp4", options={"x264-params": "tff=1"})],
    "a still": [still_first],
    "a truncated": [cut],
    "a file with sound": [sound],
    "a playlist": [playlist],
    "a pipe": [pipe],
    "a folder": [pictures(["0.tif", "1.tif", "2.tif"], PLAIN)],
    "numbered": [pictures(["1.png", "2.png", "5.png", "6.png"], PLAIN)],
    "frames of 16": [pictures(["0.png"], FEW_BITS)],
    "an animated": [animation],
}


def test_every_row_has_files():
    for mark, files in ((VIDEOS, VIDEO_FILES), (RESULTS, RESULT_FILES)):
        tested = [[row for row in rows(mark) if row.startswith(start)] for start in files]
        assert [len(found) for found in tested] == [1] * len(files)
        assert {found[0] for found in tested} == rows(mark).keys()


@pytest.mark.parametrize(
    ("start", "write"), [(start, write) for start in VIDEO_FILES for write in VIDEO_FILES[start]]
)
def test_a_video(tmp_path, caplog, start, write):
    ((read_as, words),) = (cells for row, cells in rows(VIDEOS).items() if row.startswith(start))
    path = write(tmp_path)
    with caplog.at_level(logging.WARNING):
        try:
            said = [*describe_video(path)]
            list(open_frames(path))
            is_rejected = False
        except VideoError as error:
            said, is_rejected = [str(error)], True
    assert is_rejected == read_as.startswith("rejected"), said
    assert words in "\n".join(said) + caplog.text


def png(index: int, shown: np.ndarray | None = None) -> bytes:
    return encode_label_map(label_map((1, 3), index) if shown is None else shown)


def whole(folder: Path, name: str = "v/{:05d}.png") -> Path:
    for index in range(FRAMES):
        path = folder / "p" / name.format(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(index))
    return folder / "p"


def upper_case(folder: Path) -> Path:
    return whole(folder, "v/{:05d}.PNG")


def by_object(folder: Path) -> Path:
    for object_id in (1, 3):
        for index in range(FRAMES):
            path = folder / f"p/v/{object_id}/{index:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(index, square(object_id, index).astype(np.int32)))
    return folder / "p"


def painted(change: Callable[[Image.Image], Image.Image], *, apart: bool = False) -> Callable:
    """Results in which every mask was changed; or one folder per object of such masks."""

    def write(folder: Path) -> Path:
        for index in range(FRAMES):
            for object_id in (1, 3) if apart else (0,):
                shown = square(object_id, index) * 255 if apart else label_map([1, 3], index)
                below = f"{object_id}/" if apart else ""
                path = folder / f"p/v/{below}{index:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                change(Image.fromarray(shown.astype(np.uint8))).save(path)
        return folder / "p"

    return write


def softly(picture: Image.Image) -> Image.Image:
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BILINEAR)
    return small.resize(picture.size, Image.Resampling.BILINEAR)


def on_its_head(folder: Path) -> Path:
    """Results upside down, with a note that they are to be shown so."""
    exif = Image.Exif()
    exif[0x0112] = 3
    for index in range(FRAMES):
        path = folder / f"p/v/{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = Image.fromarray(label_map([1, 3], index).astype(np.uint8))
        shown.rotate(180).save(path, exif=exif)
    return folder / "p"


def twice(folder: Path) -> Path:
    results = whole(folder)
    (results / "v" / "00000.PNG").write_bytes(png(0))
    return results


def packed(compression: int, name: str = "v/{:05d}.png", content: bytes | None = None) -> Callable:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "p.zip", "w", compression) as archive:
            for index in range(FRAMES):
                archive.writestr(name.format(index), content or png(index))
        return folder / "p.zip"

    return write


DEFLATED = zipfile.ZIP_DEFLATED
RESULT_FILES: dict[str, list[Callable[[Path], Path]]] = {
    "`VIDEO/FRAME.png`": [whole, packed(DEFLATED, "found/480p/v/{:05d}.png")],
    "`.PNG`": [upper_case, packed(DEFLATED, "v\\{:05d}.PNG"), packed(DEFLATED, "./v/{:05d}.png")],
    "with an EXIF": [on_its_head],
    "a mask of one object": [painted(softly, apart=True)],
    "black and white": [painted(lambda picture: picture.point(lambda v: v and 255).convert("1"))],
    "`VIDEO/OBJECT": [by_object],
    "two files": [twice],
    "a ZIP with names": [packed(DEFLATED, "../v/{:05d}.png")],
    "an archive inside": [packed(DEFLATED, "v{}.zip"), packed(DEFLATED, "v/{}.tar.gz")],
    "a ZIP with another": [packed(zipfile.ZIP_LZMA)],
    "a ZIP that unpacks": [packed(DEFLATED, content=bytes(2**24))],
}


@pytest.mark.parametrize(
    ("start", "write"), [(start, write) for start in RESULT_FILES for write in RESULT_FILES[start]]
)
def test_results(tmp_path, start, write):
    ((read_as, words),) = (cells for row, cells in rows(RESULTS).items() if row.startswith(start))
    root = davis2017(tmp_path / "set", {"v": {1: 0, 3: 0}}, images=False)
    choice = DatasetChoice(name="davis2017", root=root)
    results = write(tmp_path)
    if read_as.startswith("rejected"):
        with pytest.raises(DataError, match=re.escape(words)):
            score_results(choice, results, protocol_of("davis2017"), jobs=1)
        return
    scores = score_results(choice, results, protocol_of("davis2017"), jobs=1)
    assert (scores.dataset["J&F"], scores.complete) == (1, True)
