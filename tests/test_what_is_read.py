"""Every row of docs/what-maskcast-reads.md is tested with files, read or rejected as it says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.painted_masks import HEIGHT, WIDTH, paint, paint_softly, png_of_16_bits
from maskcast.core.errors import MaskcastError
from maskcast.io.label_maps import write_label_map
from maskcast.io.prompts.reading import read_prompts
from maskcast.io.rle import encode_mask

PAGE = Path(__file__).parent.parent / "docs" / "what-maskcast-reads.md"
MARK = "words of the report or error"
SIZE = (HEIGHT, WIDTH)
NAMES = [f"{number:05d}" for number in range(8)]
COLOURS = [(255, 0, 0), (0, 0, 255), (255, 255, 255)]
POLYGON = [2, 1, 20, 1, 20, 15, 2, 15]
RUNS = encode_mask(np.eye(*SIZE).astype(bool))
SMOOTH = Image.Resampling.BILINEAR


def rows() -> dict[str, tuple[str, list[str]]]:
    """The first column of each row that is tested here, with the two others."""
    found = {}
    tested = False
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if cells[-1] == MARK:
            tested = True
        elif not line.startswith("|"):
            tested = False
        elif tested and len(cells) == 3:
            found[cells[0]] = cells[1], re.findall(r"`([^`]+)`", cells[2])
    return found


Given = tuple[list[Path], list[str], int | None]
"""Masks, boxes and a threshold."""


def mask(path: Path, threshold: int | None = None) -> Given:
    return [path], [], threshold


def picture(name: str, image: Image.Image, threshold: int | None = None) -> Callable:
    def write(folder: Path) -> Given:
        image.save(folder / name)
        return mask(folder / name, threshold)

    return write


def annotations(content: object, name: str = "a.json") -> Callable:
    def write(folder: Path) -> Given:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text)
        return mask(folder / name)

    return write


def array(values: np.ndarray) -> Callable:
    def write(folder: Path) -> Given:
        np.save(folder / "a.npy", values)
        return mask(folder / "a.npy")

    return write


def label_map(name: str, object_id: int = 1) -> Callable:
    def write(folder: Path) -> Given:
        write_label_map(folder / name, np.eye(*SIZE, dtype=np.int64) * object_id)
        return mask(folder / name)

    return write


def box(text: str) -> Callable:
    return lambda _: ([], [text], None)


def matte_of_16_bits() -> Image.Image:
    soft = np.asarray(paint_softly([255], "L", Image.Resampling.BOX))
    return Image.fromarray(soft.astype(np.uint16) * 257)


def pages(folder: Path) -> Given:
    image = paint([255], "L")
    image.save(folder / "a.tif", save_all=True, append_images=[image])
    return mask(folder / "a.tif")


def postscript(folder: Path) -> Given:
    (folder / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n")
    return mask(folder / "a.png")


def cloud() -> Image.Image:
    """A mask that is soft everywhere."""
    rows_, columns = np.mgrid[:HEIGHT, :WIDTH]
    soft = np.clip(255 - 5 * np.hypot(rows_ - 48, columns - 64), 0, 255)
    return Image.fromarray(soft.astype(np.uint8))


def compressed(quality: int) -> Image.Image:
    file = io.BytesIO()
    paint([255], "L").save(file, "JPEG", quality=quality)
    return Image.open(file)


def on_white() -> Image.Image:
    shown = np.asarray(paint(COLOURS[:2], "RGB")).copy()
    shown[(shown == 0).all(axis=2)] = 255
    return Image.fromarray(shown)


def turned(folder: Path) -> Given:
    """A picture on its side, which has the size of the frames only when it is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    paint([30, 60, 90], "L").rotate(90, expand=True).save(folder / "a.png", exif=exif)
    return mask(folder / "a.png")


def deep_colours(folder: Path) -> Given:
    values = np.asarray(paint([1, 2, 300], "I")).astype(">u2")
    (folder / "a.png").write_bytes(png_of_16_bits(np.repeat(values[..., None], 3, axis=2)))
    return mask(folder / "a.png")


def matte() -> Image.Image:
    soft = paint_softly([255], "L", SMOOTH)
    white = Image.new("L", (WIDTH, HEIGHT), 255)
    return Image.merge("RGBA", [white, white, white, soft])


def coco(*entries: dict, files: tuple[str, ...] = ("00000.jpg",)) -> dict:
    images = [{"id": number, "file_name": name} for number, name in enumerate(files)]
    return {"images": images, "annotations": list(entries)}


def entry(number: int = 1, image: int = 0, **fields: object) -> dict:
    return {"id": number, "image_id": image, "segmentation": [POLYGON]} | fields


def shape(label: str, kind: str = "polygon", right: int = 0) -> dict:
    points = [[2 + right, 1], [20 + right, 1], [20 + right, 15]]
    return {"label": label, "points": points, "shape_type": kind}


def indexed(palette: list[int]) -> Image.Image:
    image = paint([1], "L").convert("P")
    image.putpalette(palette)
    return image


FILES: dict[str, list[Callable[[Path], Given]]] = {
    "indexed, with the palette of a label map": [
        label_map("a.png", 7),
        picture("a.png", indexed([0, 0, 0, 128, 0, 0])),
    ],
    "indexed, with another palette": [
        picture("a.gif", paint(COLOURS, "RGB").quantize(4)),
        picture("a.png", indexed([0, 0, 0, 9, 0, 0])),
    ],
    "indexed, without a black": [picture("a.png", indexed([9] * 3 + [255] * 3))],
    "8-bit grey of 0 and 255": [
        picture("a.png", paint([255], "L")),
        picture("a.bmp", paint([1], "L")),
    ],
    "8-bit grey": [picture("a.png", paint([3, 7], "L"))],
    "16-bit grey": [label_map("a.png", 300)],
    "flat colours": [
        picture("a.png", paint(COLOURS, "RGB")),
        picture("a.tif", paint(COLOURS, "RGB")),
    ],
    "PNG in colours by maskcast": [label_map("a.png", 70000)],
    "objects in flat colours or greys": [
        picture("a.png", paint_softly(COLOURS, "RGB", SMOOTH)),
        picture("a.tif", paint_softly([80, 160, 255], "L", SMOOTH)),
    ],
    "matte: one object": [picture("a.png", matte())],
    "soft mask without flat levels": [picture("a.png", cloud())],
    "16-bit matte": [picture("a.png", matte_of_16_bits())],
    "matte in alpha, grey or 16 bits": [picture("a.png", matte(), 128)],
    "label map resized smoothly": [picture("a.png", paint_softly([1, 2, 4], "L", SMOOTH))],
    "JPEG": [picture("a.jpg", paint([255], "L")), picture("a.webp", paint(COLOURS, "RGB"))],
    "PNG made from a JPEG": [picture("a.png", compressed(quality)) for quality in (75, 95, 100)],
    "flat colours without black": [picture("a.png", on_white())],
    "grey values without 0": [picture("a.png", paint([30, 60, 90], "L").point(lambda v: v + 9))],
    "16 bits per channel": [deep_colours],
    "with an EXIF orientation": [turned],
    "TIFF of several pages": [pages],
    "floating-point TIFF": [picture("a.tif", Image.fromarray(np.eye(*SIZE, dtype=np.float32)))],
    "other formats under any name": [postscript, picture("a.ppm", paint(COLOURS, "RGB"))],
    "NumPy array (`.npy`)": [
        array(np.eye(*SIZE, dtype=np.uint8) * 3),
        array(np.eye(*SIZE, dtype=bool)),
    ],
    "NumPy array of probabilities": [array(np.full(SIZE, 0.5)), array(np.full(SIZE, np.nan))],
    "COCO: polygons": [annotations(coco(entry())), annotations(coco(entry(segmentation=RUNS)))],
    "COCO of CVAT or Roboflow": [
        annotations(coco(entry(0))),
        annotations(coco(entry(attributes={"track_id": 0}))),
    ],
    "COCO: a bbox": [annotations(coco(entry(segmentation=[], bbox=[1, 2, 30, 40])))],
    "COCO: further images": [
        annotations(coco(entry(), entry(2, 1), files=("00000.jpg", "dog.jpg")))
    ],
    "COCO: frames of one name": [
        annotations(coco(entry(), entry(2, 1), files=("a/00000.jpg", "b/00000.jpg")))
    ],
    "SAM's lists": [annotations([{"segmentation": RUNS}])],
    "YouTube-VIS": [
        annotations(
            {
                "videos": [{"id": 1, "file_names": ["00000.jpg", "00001.jpg"]}],
                "annotations": [{"id": 1, "video_id": 1, "segmentations": [None, RUNS]}],
            }
        )
    ],
    "labelme and X-AnyLabeling": [
        annotations({"shapes": [shape("fish"), shape("3", "rotation", 40)]})
    ],
    "labelme: several shapes": [annotations({"shapes": [shape("fish"), shape("fish", right=40)]})],
    "labelme: points": [annotations({"shapes": [shape("fish"), shape("eye", "point")]})],
    "labelme and COCO: a picture": [
        annotations({"shapes": [shape("fish")], "imagePath": "../00003.jpg"}),
        annotations(coco(entry(), files=("frame_000003_jpg.rf.5ab.jpg",))),
    ],
    "labelme and COCO: another": [
        annotations({"shapes": [shape("fish")], "imagePath": "00004.jpg"}, "00003.json"),
    ],
    "COCO: a bbox that is two": [
        annotations(coco(entry(segmentation=[], bbox=[70, 50, 120, 90]))),
        annotations(coco(entry(segmentation=[[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]))),
    ],
    "Label Studio, VIA": [
        annotations({"item": {}, "annotations": [{"id": "x", "polygon": {}}]}),
        annotations([{"data": {}, "annotations": []}]),
        annotations({"_via_settings": {}}),
        annotations({"masklet": []}),
        annotations({"annotations": [{"segments_info": []}]}),
        annotations("<annotations/>", "a.xml"),
        annotations("<annotation/>", "a.xml"),
    ],
    "JSON with a key twice": [
        annotations('{"a": 1, "a": 2}'),
        annotations("[" * 101 + "0" + "]" * 101),
        annotations("9" * 101),
    ],
    "`00003.png`": [
        label_map(f"{name}.png") for name in ("00003", "frame_000003", "mask_00003", "00003_mask")
    ],
    "a single file": [label_map("drawn by hand.png")],
    "a number that names": [label_map("frame_000099.png")],
    "several numbers": [label_map("mask1.png"), label_map("2024-01-05.png")],
    "`--box 5:X,Y,W,H`": [box("5:1,2,30,40")],
    "a box in fractions": [box("0.1,0.2,0.3,0.4")],
}
"""Files for each row, by the beginning of its first column."""


def row_of(beginning: str) -> tuple[str, list[str]]:
    """The row that begins so; the shortest one if several do."""
    matching = [row for row in rows() if row.startswith(beginning)]
    assert matching, f"no row begins with {beginning!r}"
    return rows()[min(matching, key=len)]


CASES = [(beginning, write) for beginning, writers in FILES.items() for write in writers]


@pytest.mark.parametrize(("beginning", "write"), CASES)
def test_a_row(tmp_path, beginning, write):
    read_as, words = row_of(beginning)
    masks, boxes, threshold = write(tmp_path)
    try:
        given = read_prompts(masks, boxes, names=NAMES, size=SIZE, mask_threshold=threshold)
    except MaskcastError as error:
        said, rejected = error.summary, True
    else:
        said, rejected = "\n".join(given.report), False
        assert given.ids
    assert rejected == read_as.startswith("rejected"), said
    assert any(quoted in said for quoted in words), said


def test_every_row_has_a_file():
    tested = {min((r for r in rows() if r.startswith(b)), key=len, default="") for b in FILES}
    assert tested == rows().keys()
    assert len(rows()) > 30
