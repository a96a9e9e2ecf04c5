"""Segment a video from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskcast.methods.onnx_runtime.prompts import Array, Box
from maskcast.methods.onnx_runtime.session import Session


def read_frames(video: Path) -> Iterator[tuple[str, Array]]:
    """Yield names and frames of a video file, or of a folder of pictures in name order."""
    if video.is_dir():
        from PIL import Image  # noqa: PLC0415 - the rest works without it

        endings = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
        for path in sorted(p for p in video.iterdir() if p.suffix.lower() in endings):
            yield path.stem, as_frame(np.asarray(Image.open(path).convert("RGB")))
        return
    import av  # noqa: PLC0415 - the rest works without it

    with av.open(str(video)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            yield f"{index:05}", as_frame(picture.to_ndarray(format="rgb24"))


def as_frame(picture: Array) -> Array:
    """Convert a picture, height × width × 3, 8 bits, to a frame."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / np.float32(255)


def write_labels(path: Path, labels: Array) -> None:
    """Write a label map as a picture in which the value of a pixel is the id of its object."""
    from PIL import Image  # noqa: PLC0415 - the rest works without it

    if labels.max(initial=0) > 255:
        Image.fromarray(labels.astype(np.uint16)).save(path)
        return
    picture = Image.fromarray(labels.astype(np.uint8))
    colours = [
        sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
        for index in range(256)
        for channel in range(3)
    ]
    picture.putpalette(colours)
    picture.save(path)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments of the program."""
    parser = argparse.ArgumentParser(description="Segment a video without PyTorch.")
    parser.add_argument("video", type=Path, help="a video file, or a folder of pictures")
    parser.add_argument(
        "mask", type=Path, nargs="?", help="picture; the value of a pixel is its object's id"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the masks")
    parser.add_argument(
        "--box", action="append", default=[], metavar="ID:X,Y,WIDTH,HEIGHT", help="(repeatable)"
    )
    parser.add_argument("--boxes-from", type=Path, help="graphs of LWL, for boxes with A-GAME")
    parser.add_argument("--threads", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.mask is None and not chosen.box:
        parser.error("give a mask or a box")
    return chosen


def prompts_of(mask: Path | None, boxes: Sequence[str]) -> dict[int, Any]:
    """Return the prompts of the first frame."""
    prompts: dict[int, Any] = {}
    if mask is not None:
        from PIL import Image  # noqa: PLC0415 - the rest works without it

        labels = np.asarray(Image.open(mask))
        if labels.ndim != 2:
            raise ValueError(f"{mask} has colours; its pixels must be the ids of objects")
        prompts = {int(key): labels == key for key in np.unique(labels) if key}
    for text in boxes:
        object_id, _, numbers = text.partition(":")
        try:
            x, y, width, height = map(float, numbers.split(","))
            prompts[int(object_id)] = Box(x, y, width, height)
        except ValueError as error:
            message = f"invalid box {text!r}; write ID:X,Y,WIDTH,HEIGHT, such as 1:200,120,80,160"
            raise ValueError(message) from error
    return prompts


def main(arguments: Sequence[str] | None = None) -> int:
    """Segment a video with the graphs beside this file."""
    chosen = parse(arguments)
    try:
        folder = Path(__file__).resolve().parent
        session = Session(folder, threads=chosen.threads, boxes_from=chosen.boxes_from)
        prompts = prompts_of(chosen.mask, chosen.box)
        chosen.output.mkdir(parents=True, exist_ok=True)
        state = session.start()
        for name, frame in read_frames(chosen.video):
            state, masks = session.step(state, frame, prompts)
            write_labels(chosen.output / f"{name}.png", masks.label_map())
            prompts = {}
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0
