"""Clips of one object whose alpha is exact, for measuring edges.

    frames   frames × height × width × 3   RGB, 8 bits
    alphas   frames × height × width       share of each pixel that belongs to the object, 0..1

Objects are rendered over a moving background, with motion blur, and recorded with noise and JPEG
compression. ``cutouts`` and ``lego`` are RGBA pictures (``fluent_emoji``, ``nerf_lego_orbit``) over
photographs, ``synthetic`` are procedural objects, and ``fur`` are balls with thin, curved hairs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw

from maskcast.data.readers.image_pairs import read_photographs
from maskcast.data.synthetic.cutouts import (
    CutoutFolder,
    CutoutSource,
    ProceduralCutouts,
    read_cutout,
)
from maskcast.data.synthetic.motion import Motion, draw_camera, draw_motion
from maskcast.data.synthetic.scenes import PhotoScenes, ProceduralScenes, SceneSource
from maskcast.data.synthetic.stage import Cutout, Stage, as_layer, render

SIZE = (288, 512)
EXTENT = 1.2
SHUTTER = 0.5
"""Exposure time, in frames."""
EXPOSURES = 5
"""Moments that are averaged for one frame."""
NOISE = 1.5
QUALITY = 92
ORBIT_PARTS = 6
"""Clips into which the views of the toy are divided."""
LARGER = 4
"""Factor by which hairs are drawn larger."""


@dataclass(frozen=True)
class AlphaClip:
    """A clip and the exact alpha of its object."""

    name: str
    frames: UInt8[np.ndarray, "frames height width 3"]
    alphas: Float32[np.ndarray, "frames height width"]


def alpha_clips(data: Path | None, *, numbers: range, frames: int) -> Iterator[AlphaClip]:
    """Yield the clips with these numbers of every group; groups without their data are left out.

    Args:
        data: folder of the unpacked training archives, with ``cutouts`` and ``backgrounds``.
        numbers: numbers of the clips in their group.
        frames: frames per clip.
    """
    scenes: SceneSource = ProceduralScenes()
    folder = None if data is None else data / "cutouts"
    if data is not None and (data / "backgrounds").is_dir():
        scenes = PhotoScenes(read_photographs(data / "backgrounds"))
    sources: dict[str, CutoutSource] = {"synthetic": ProceduralCutouts(), "fur": Fur()}
    if folder is not None and folder.is_dir():
        sources["cutouts"] = CutoutFolder(folder / "fluent_emoji")
    for group, source in sources.items():
        for number in numbers:
            generator = np.random.default_rng([number, len(group)])
            resolution = round(0.7 * SIZE[0])
            cutouts = [source.draw_cutout(generator, resolution)] * frames
            yield _clip(f"{group}-{number}", generator, cutouts, scenes)
    if folder is not None and (folder / "nerf_lego_orbit").is_dir():
        orbit = sorted((folder / "nerf_lego_orbit").iterdir())
        for number in numbers:
            generator = np.random.default_rng([number, 99])
            begin = len(orbit) * number // ORBIT_PARTS
            views = [orbit[(begin + i) % len(orbit)] for i in range(frames)]
            cutouts = [read_cutout(path, 256) for path in views]
            yield _clip(f"lego-{number}", generator, cutouts, scenes)


class Fur:
    """Draws balls with hair: strands of about one pixel, thinner towards their end."""

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        side = resolution * LARGER
        mask = Image.new("L", (side, side))
        canvas = ImageDraw.Draw(mask)
        middle, radius = side / 2, side * 0.27
        box = (middle - radius, middle - radius, middle + radius, middle + radius)
        canvas.ellipse(box, fill=255)
        for _ in range(500):
            angle, length = generator.uniform(0, 2 * np.pi), generator.uniform(0.05, 0.18) * side
            bend = generator.normal(0, 0.7)
            steps = np.linspace(0, 1, 12)
            turned = angle + bend * steps**2
            reach = radius * 0.97 + length * steps
            points = np.stack([np.cos(turned), np.sin(turned)], 1) * reach[:, None] + middle
            for part, (start, end) in enumerate(pairwise(points)):
                width = max(1, round(LARGER * (1.6 - 0.1 * part)))
                canvas.line([*start, *end], fill=255, width=width)
        small = mask.resize((resolution, resolution), Image.Resampling.BOX)
        alpha = torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)
        shade = torch.from_numpy(generator.uniform(0.1, 0.9, 3).astype(np.float32))
        grain = torch.from_numpy(generator.normal(0, 0.06, alpha.shape).astype(np.float32))
        return Cutout((shade[:, None, None] + grain).clamp(0, 1), alpha)


def _clip(
    name: str, generator: np.random.Generator, cutouts: list[Cutout], scenes: SceneSource
) -> AlphaClip:
    scene = scenes.draw_scene(generator, (round(EXTENT * SIZE[0]), round(EXTENT * SIZE[1])))
    aspect = cutouts[0].alpha.shape[1] / cutouts[0].alpha.shape[0]
    start = (float(generator.uniform(-0.4, 0.4)), float(generator.uniform(-0.1, 0.1)))
    motion = draw_motion(generator, start=start, size=0.36, aspect=1.0, pace=1.5)
    motion = replace(motion, aspect=aspect if abs(np.log(aspect)) > 0.05 else 1.0)
    camera = draw_camera(generator, 0.5)
    frames, alphas = [], []
    for time, cutout in enumerate(cutouts):
        picture, alpha = _exposed(cutout, motion, camera, scene, time)
        frames.append(_recorded(picture, generator))
        alphas.append(alpha)
    return AlphaClip(name, np.stack(frames), np.stack(alphas))


def _exposed(
    cutout: Cutout, motion: Motion, camera: Motion, scene: torch.Tensor, time: int
) -> tuple[np.ndarray, Float32[np.ndarray, "height width"]]:
    """Return picture (0..1) and alpha, each averaged over the exposure."""
    white = Cutout(torch.ones_like(cutout.image), cutout.alpha)
    black = torch.zeros_like(scene)
    stages = [
        Stage(back[None], EXTENT, camera, (as_layer(front, motion, 1, shadow=False),))
        for front, back in ((cutout, scene), (white, black))
    ]
    moments = time + SHUTTER * np.linspace(0, 1, EXPOSURES)
    shots = [
        torch.stack([render(stage, SIZE, float(moment))[0] for moment in moments]).mean(0)
        for stage in stages
    ]
    return shots[0].permute(1, 2, 0).numpy(), shots[1][0].clamp(0, 1).numpy()


def _recorded(picture: np.ndarray, generator: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    noisy = picture * 255 + generator.normal(0, NOISE, picture.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(noisy.round(), 0, 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=QUALITY
    )
    return np.array(Image.open(buffer))
