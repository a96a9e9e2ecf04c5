"""Measure edges on clips with exact alpha, from masks that were tracked and from exact ones.

    python benchmarks/edges/edge_quality.py --data DATA --clips 2 --frames 6

DATA holds the unpacked training archives (``cutouts``, ``backgrounds``); without it the groups
``synthetic`` and ``fur`` are measured over procedural scenes. The first frame, whose mask is given,
is not measured. Settings were chosen on clips 0 to 2 of each group, so the default begins at 3. The
table has, for each group of clips, and for every kind of edges:

MAE      mean absolute error of alpha over all pixels, × 1000
dtSSD    root of the mean square of the error's change from frame to frame, × 100 (Erofeev et al.,
         BMVC 2015): flicker
F        contour accuracy of alpha ≥ 0.5 with a tolerance of one pixel, × 100
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from edge_clips import AlphaClip, alpha_clips
from jaxtyping import Float32

from maskcast.core.segmenter import segment_video
from maskcast.core.types import to_frame
from maskcast.methods.spec import load_segmenter
from maskcast.metrics.boundary import packed_contour_accuracy
from maskcast.metrics.packed import pack
from maskcast.viz.edges import EdgeSettings, alpha_of

Alphas: TypeAlias = Float32[np.ndarray, "frames height width"]
Kind: TypeAlias = Literal["hard", "soft", "refined", "matted"]
KINDS: dict[str, tuple[Kind, ...]] = {
    "tracked": ("hard", "soft", "refined", "matted"),
    "exact": ("hard", "refined", "matted"),
}
Track: TypeAlias = Callable[[AlphaClip], Alphas]


def tracker(weights: str) -> Track:
    """Return a function that tracks the object of a clip from its exact first mask."""
    segmenter = load_segmenter(weights)

    def track(clip: AlphaClip) -> Alphas:
        prompts = {0: {1: torch.from_numpy(clip.alphas[0] >= 0.5)}}
        frames = (to_frame(picture) for picture in clip.frames)
        masks = segment_video(segmenter, frames, prompts)
        return np.stack([found_masks.probs[0].numpy() for found_masks in masks])

    return track


def measures(found: Alphas, exact: Alphas) -> tuple[float, float, float]:
    """Return MAE × 1000, dtSSD × 100 and F × 100."""
    error = found.astype(np.float64) - exact
    flicker = np.sqrt((np.diff(error, axis=0) ** 2).mean(axis=(1, 2))).mean()
    contours = [
        packed_contour_accuracy(pack((one >= 0.5, other >= 0.5), 1), 1)
        for one, other in zip(found, exact, strict=True)
    ]
    return float(np.abs(error).mean() * 1000), float(flicker * 100), float(np.mean(contours) * 100)


def alphas_with(kind: Kind, clip: AlphaClip, probs: Alphas) -> Alphas:
    """Return the alpha of every frame but the first, with one kind of edges."""
    return np.stack([
        alpha_of(picture, soft >= 0.5, EdgeSettings(kind=kind), soft)
        for picture, soft in zip(clip.frames[1:], probs[1:], strict=True)
    ])  # fmt: skip


def main() -> None:
    """Print one row per group of clips, masks and kind of edges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", default="lwl-small")
    parser.add_argument("--first", type=int, default=3, help="number of the first clip")
    parser.add_argument("--clips", type=int, default=2, help="clips per group")
    parser.add_argument("--frames", type=int, default=6)
    arguments = parser.parse_args()
    track = tracker(arguments.weights)
    rows: dict[tuple[str, str, str], list[Sequence[float]]] = defaultdict(list)
    numbers = range(arguments.first, arguments.first + arguments.clips)
    for clip in alpha_clips(arguments.data, numbers=numbers, frames=arguments.frames):
        group = clip.name.partition("-")[0]
        hard = (clip.alphas >= 0.5).astype(np.float32)
        for masks, probs in (("tracked", track(clip)), ("exact", hard)):
            for kind in KINDS[masks]:
                found = alphas_with(kind, clip, probs)
                rows[group, masks, kind].append(measures(found, clip.alphas[1:]))
    print("| clips | masks | edges | MAE | dtSSD | F |\n|---|---|---|---|---|---|")
    for (group, masks, edges), values in rows.items():
        figures = " | ".join(f"{value:.2f}" for value in np.mean(values, axis=0))
        print(f"| {group} | {masks} | {edges} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
