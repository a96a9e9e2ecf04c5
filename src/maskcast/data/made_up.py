"""Made-up clips: an endless, seeded supply of short videos whose masks are exact.

Objects move over a scene under affine, perspective and thin-plate motion, cross and hide each
other, leave and return; the camera moves, the light changes, look-alikes distract, and the result
is blurred, noisy and compressed as a real video is. Objects and scenes are procedural, or cut from
image + mask pairs and photographs (``maskcast.data.image_pairs``).

    frames       frames × height × width × 3   uint8 RGB
    label_maps   frames × height × width       uint8, object ids from 1; 0 is background

Exact means: a pixel belongs to the front-most thing that covers at least half of it, before blur.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from maskcast.core.errors import ConfigError, UsageError
from maskcast.data import made_up_textures as textures
from maskcast.data.made_up_motion import (
    Array,
    Excursion,
    Motion,
    Wave,
    draw_camera,
    draw_motion,
    draw_wave,
    meet,
    patch_of,
    sampling_grid,
    spread_out,
    to_pixels,
)

FIRST_RESERVED_SEED = 2**31
"""Seeds from here on belong to the demonstration; ``make_clip`` refuses them."""


SCENE = 1.2
"""Side of the scene over side of the frame, so that the camera can move."""


@dataclass(frozen=True)
class Cutout:
    """Something that can be pasted: its colours and how much of each pixel it covers."""

    image: Float[Tensor, "3 height width"]
    """0..1."""
    alpha: Float[Tensor, "height width"]
    """0..1; zero at the border."""


class CutoutSource(Protocol):
    """Where objects come from."""

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        """Draw an object whose longer side is about ``resolution`` pixels."""
        ...


class SceneSource(Protocol):
    """Where backgrounds come from."""

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        """Draw a picture of this height and width, 0..1."""
        ...


@dataclass(frozen=True)
class MadeUpClip:
    """A short video with exact masks."""

    frames: UInt8[np.ndarray, "frames height width 3"]
    label_maps: UInt8[np.ndarray, "frames height width"]
    ids: tuple[int, ...]
    """The objects; all of them are visible on the first frame."""


@dataclass(frozen=True, kw_only=True)
class MadeUpConfig:
    """What may happen in a made-up clip. Probabilities are per clip unless they say otherwise."""

    object_size: tuple[float, float] = (0.09, 0.30)
    """Half the side of an object, in units of the frame's shorter side."""
    pace: tuple[float, float] = (0.4, 2.5)
    """How fast things move; 1 is a walk."""
    camera_shake: float = 1.0
    """Strength of the camera's motion; 0 puts it on a tripod."""
    look_alike: float = 0.5
    """Probability that a copy of the first object distracts from it, as background."""
    crossing: float = 0.5
    """Probability, for each object after the first, of a course that meets the first one's."""
    leaving: float = 0.15
    """Probability, for each object, of leaving the frame and returning."""
    occluder: float = 0.35
    """Probability of something in front of everything, as background."""
    shadow: float = 0.4
    blur: float = 0.3
    noise: float = 0.6
    jpeg: float = 0.5
    light_change: float = 0.12
    """Amplitude of the brightness over time."""

    def __post_init__(self) -> None:
        for name in ("look_alike", "crossing", "leaving", "occluder", "shadow", "blur", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a probability, got {getattr(self, name)}")
        if not 0 < self.object_size[0] <= self.object_size[1]:
            raise ConfigError(f"object_size must be low to high, got {self.object_size}")
        if not 0 < self.pace[0] <= self.pace[1]:
            raise ConfigError(f"pace must be low to high, got {self.pace}")


class ProceduralCutouts:
    """Objects from noise: silhouettes with textures, lit as if they bulged."""

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        shape = _choose(generator, list(textures.TRAINING_SHAPES.values()))
        texture = _choose(generator, list(textures.TRAINING_TEXTURES.values()))
        alpha = shape(generator, resolution)
        image = texture(generator, (resolution, resolution))
        if generator.uniform() < 0.3:
            other = _choose(generator, list(textures.TRAINING_TEXTURES.values()))
            part = textures.fractal_noise(generator, (resolution, resolution), cells=1.5, octaves=3)
            share = torch.sigmoid(30 * (part - 0.5))
            image = torch.lerp(image, other(generator, (resolution, resolution)), share)
        angle = generator.uniform(0, 2 * np.pi)
        light = (float(np.cos(angle)), float(np.sin(angle)))
        return Cutout(textures.shade(image, alpha, light, generator.uniform(0, 0.9)), alpha)


class ProceduralScenes:
    """Scenes from noise: ground and sky or a wall, with clutter standing about."""

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        makers = list(textures.TRAINING_TEXTURES.values())
        height, width = size[0] // 2, size[1] // 2
        half = (height, width)
        scene = _choose(generator, makers)(generator, half)
        if generator.uniform() < 0.6:
            horizon = generator.uniform(0.2, 0.6)
            rim = textures.fractal_noise(generator, (4, width), cells=0.6, octaves=5)[0]
            border = (horizon + generator.uniform(0.02, 0.3) * (rim - 0.5)) * height
            rows = torch.arange(height, dtype=torch.float32).unsqueeze(1)
            sky = textures.clouds(generator, half) * 0.5 + 0.4
            scene = torch.lerp(scene, sky, torch.sigmoid(border - rows))
        light = textures.fractal_noise(generator, half, cells=1, octaves=2)
        scene = scene * (0.6 + 0.7 * light)
        scene = functional.interpolate(scene.unsqueeze(0), size=size, mode="bilinear")[0]
        for _ in range(int(generator.integers(2, 9))):
            _paste_clutter(generator, scene)
        return scene.clamp_(0, 1)


def _paste_clutter(generator: np.random.Generator, scene: Float[Tensor, "3 height width"]) -> None:
    """Paste one still thing into a scene, in place."""
    height, width = scene.shape[-2:]
    resolution = int(generator.uniform(0.12, 0.5) * height)
    thing = ProceduralCutouts().draw_cutout(generator, max(16, resolution))
    side = thing.alpha.shape[-1]
    top = int(generator.integers(0, max(1, height - side)))
    left = int(generator.integers(0, max(1, width - side)))
    region = scene[:, top : top + side, left : left + side]
    alpha = thing.alpha[: region.shape[1], : region.shape[2]]
    region.lerp_(thing.image[:, : region.shape[1], : region.shape[2]], alpha)


@dataclass(frozen=True)
class _Layer:
    """A cutout on its way through the clip."""

    pixels: Float[Tensor, "1 4 height width"]
    """Colours times coverage, and coverage."""
    motion: Motion
    object_id: int
    """0 for what is not an object of the clip."""
    shadow: Float[Tensor, "1 1 height width"] | None = None


@dataclass(frozen=True)
class _Stage:
    """Everything a clip shows, from back to front."""

    scene: Float[Tensor, "1 3 height width"]
    camera: Motion
    layers: tuple[_Layer, ...]


def make_clip(
    seed: int,
    *,
    frames: int = 8,
    size: tuple[int, int] = (240, 416),
    objects: tuple[int, int] = (1, 3),
    times: Sequence[float] | None = None,
    cutouts: CutoutSource | None = None,
    scenes: SceneSource | None = None,
    config: MadeUpConfig | None = None,
) -> MadeUpClip:
    """Make one clip; the same arguments make the same clip.

    Args:
        seed: below ``FIRST_RESERVED_SEED``; the demonstration's seeds are never made here.
        frames: how many, at 24 a second; not used when ``times`` are given.
        size: height and width.
        objects: fewest and most objects.
        times: when the frames are taken, in frames; the first one must be 0.
        cutouts: where objects come from; procedural if not given.
        scenes: where backgrounds come from; procedural if not given.

    Raises:
        UsageError: the seed is reserved or negative.
    """
    if not 0 <= seed < FIRST_RESERVED_SEED:
        raise UsageError(
            f"seed {seed} is not free: made-up clips take 0 to {FIRST_RESERVED_SEED - 1}, "
            "the seeds above belong to the demonstration"
        )
    moments = tuple(range(frames)) if times is None else tuple(times)
    settings = config or MadeUpConfig()
    for attempt in range(20):
        generator = np.random.default_rng([seed, attempt])
        stage = _set_stage(
            generator,
            size,
            count=int(generator.integers(objects[0], objects[1] + 1)),
            horizon=max(8.0, float(moments[-1])),
            cutouts=cutouts or ProceduralCutouts(),
            scenes=scenes or ProceduralScenes(),
            config=settings,
        )
        first = _render(stage, size, moments[0])
        if _all_visible(stage, first[1]):
            break
    else:
        raise UsageError(f"no object stays visible with seed {seed}; take another seed")
    shots = [first, *(_render(stage, size, time) for time in moments[1:])]
    ids = tuple(sorted({layer.object_id for layer in stage.layers} - {0}))
    film = _Film.draw(generator, size, settings)
    return MadeUpClip(
        np.stack(
            [film.expose(generator, shot[0], t) for shot, t in zip(shots, moments, strict=True)]
        ),
        np.stack([shot[1].numpy() for shot in shots]),
        ids,
    )


def _all_visible(stage: _Stage, label_map: UInt8[Tensor, "height width"]) -> bool:
    smallest = max(12, label_map.numel() // 800)
    counts = torch.bincount(label_map.flatten().int(), minlength=256)
    return all(
        int(counts[layer.object_id]) >= smallest for layer in stage.layers if layer.object_id
    )


def _set_stage(
    generator: np.random.Generator,
    size: tuple[int, int],
    *,
    count: int,
    horizon: float,
    cutouts: CutoutSource,
    scenes: SceneSource,
    config: MadeUpConfig,
) -> _Stage:
    """Draw the scene, the camera and everything that moves."""
    height, width = size
    scene = scenes.draw_scene(generator, (int(SCENE * height), int(SCENE * width)))
    pace = exp(generator.uniform(log(config.pace[0]), log(config.pace[1])))
    shows_shadow = generator.uniform() < config.shadow
    reach = (0.36 * width / min(size), 0.36 * height / min(size))
    layers: list[_Layer] = []
    places = spread_out(generator, count + 1, reach)
    for slot, place in enumerate(places[:count]):
        side = generator.uniform(*config.object_size)
        cutout = cutouts.draw_cutout(generator, _resolution(side, size))
        motion = draw_motion(
            generator, start=place, size=side, aspect=_aspect(generator, cutout), pace=pace
        )
        if layers and generator.uniform() < config.crossing:
            motion = meet(layers[0].motion, motion, horizon * generator.uniform(0.3, 0.9))
        if generator.uniform() < config.leaving:
            motion = replace(motion, excursion=_draw_excursion(generator, horizon, reach))
        layers.append(_as_layer(cutout, motion, slot + 1, shows_shadow))
    if generator.uniform() < config.look_alike:
        layers.append(_look_alike(generator, layers[0], places[count], pace, horizon))
    order = generator.permutation(len(layers))
    layers = [layers[i] for i in order]
    if generator.uniform() < config.occluder:
        layers.append(_draw_occluder(generator, cutouts, size, reach))
    camera = draw_camera(generator, config.camera_shake * generator.uniform(0, 1.5))
    return _Stage(scene.unsqueeze(0), camera, tuple(layers))


def _resolution(side: float, size: tuple[int, int]) -> int:
    """Pixels of a cutout so that it is drawn about as large as it is stored."""
    return int(np.clip(2.2 * side * min(size), 20, 320))


def _aspect(generator: np.random.Generator, cutout: Cutout) -> float:
    height, width = cutout.alpha.shape
    return float(width / height * np.exp(generator.normal(0, 0.15)))


def _as_layer(cutout: Cutout, motion: Motion, object_id: int, shows_shadow: bool) -> _Layer:
    pixels = torch.cat([cutout.image * cutout.alpha, cutout.alpha.unsqueeze(0)]).unsqueeze(0)
    shadow = _blurred(cutout.alpha[None, None], 0.06) if shows_shadow else None
    return _Layer(pixels, motion, object_id, shadow)


def _blurred(alpha: Tensor, share: float) -> Tensor:
    radius = max(1, int(share * max(alpha.shape[-2:])))
    for _ in range(2):
        alpha = functional.avg_pool2d(alpha, 2 * radius + 1, stride=1, padding=radius)
    return alpha


def _draw_excursion(
    generator: np.random.Generator, horizon: float, reach: tuple[float, float]
) -> Excursion:
    """Draw a detour far enough to leave the frame sideways."""
    begin = generator.uniform(0.05, 0.4) * horizon
    end = begin + generator.uniform(0.3, 0.8) * horizon
    side = 1.0 if generator.uniform() < 0.5 else -1.0
    shift = (side * reach[0] * generator.uniform(2.5, 4), generator.normal(0, 0.3))
    return Excursion(begin, end, shift)


def _look_alike(
    generator: np.random.Generator,
    model: _Layer,
    place: tuple[float, float],
    pace: float,
    horizon: float,
) -> _Layer:
    """Copy an object with slightly other colours, size and motion."""
    motion = draw_motion(
        generator,
        start=place,
        size=model.motion.size * exp(generator.normal(0, 0.15)),
        aspect=model.motion.aspect,
        pace=pace,
    )
    if generator.uniform() < 0.5:
        motion = meet(model.motion, motion, horizon * generator.uniform(0.3, 0.9))
    tint = torch.from_numpy(generator.normal(1, 0.08, (1, 4, 1, 1)).astype(np.float32))
    tint[:, 3] = 1
    pixels = model.pixels * tint
    pixels = torch.minimum(pixels, pixels[:, 3:])
    if generator.uniform() < 0.5:
        pixels = pixels.flip(-1)
    return replace(model, pixels=pixels, motion=motion, object_id=0)


def _draw_occluder(
    generator: np.random.Generator,
    cutouts: CutoutSource,
    size: tuple[int, int],
    reach: tuple[float, float],
) -> _Layer:
    """Put something still in front: a post, a bush, a passer-by."""
    side = generator.uniform(0.12, 0.35)
    if generator.uniform() < 0.4:
        cutout = _post(generator, _resolution(0.6, size))
        motion_size, aspect = 0.75, generator.uniform(0.1, 0.2)
    else:
        cutout = cutouts.draw_cutout(generator, _resolution(side, size))
        motion_size, aspect = side, 1.0
    place = generator.uniform(-1.1, 1.1, 2) * reach
    motion = draw_motion(
        generator,
        start=(float(place[0]), float(place[1])),
        size=motion_size,
        aspect=aspect,
        pace=0.1,
    )
    return _as_layer(cutout, motion, 0, False)


def _post(generator: np.random.Generator, resolution: int) -> Cutout:
    texture = _choose(generator, list(textures.TRAINING_TEXTURES.values()))
    image = texture(generator, (resolution, resolution))
    alpha = torch.zeros(resolution, resolution)
    alpha[2:-2, 2:-2] = 1
    across = torch.linspace(-1, 1, resolution)
    return Cutout(image * (1 - 0.5 * across**2), alpha)


def _render(
    stage: _Stage, size: tuple[int, int], time: float
) -> tuple[Float[Tensor, "3 height width"], UInt8[Tensor, "height width"]]:
    """Draw one moment, from back to front."""
    camera = to_pixels(size) @ np.linalg.inv(stage.camera.homography(time))
    canvas = _render_scene(stage.scene, camera, size)
    label_map = torch.zeros(size, dtype=torch.uint8)
    for layer in stage.layers:
        homography = camera @ layer.motion.homography(time)
        if layer.shadow is not None:
            _cast_shadow(canvas, layer.shadow, homography, size)
        patch = patch_of(homography, size)
        if patch is None:
            continue
        grid = sampling_grid(homography, patch, layer.motion.bending, time)
        drawn = functional.grid_sample(layer.pixels, grid, align_corners=False)[0]
        top, bottom, left, right = patch
        region = canvas[:, top:bottom, left:right]
        region.mul_(1 - drawn[3]).add_(drawn[:3])
        label_map[top:bottom, left:right].masked_fill_(drawn[3] >= 0.5, layer.object_id)
    return canvas, label_map


def _render_scene(
    scene: Float[Tensor, "1 3 scene_height scene_width"], camera: Array, size: tuple[int, int]
) -> Float[Tensor, "3 height width"]:
    """Draw the background; what the camera sees beyond it is mirrored."""
    extent = np.diag([SCENE / 2 * size[1] / min(size), SCENE / 2 * size[0] / min(size), 1])
    grid = sampling_grid(camera @ extent, (0, size[0], 0, size[1]))
    return functional.grid_sample(scene, grid, padding_mode="reflection", align_corners=False)[0]


def _cast_shadow(
    canvas: Float[Tensor, "3 height width"],
    shadow: Float[Tensor, "1 1 shadow_height shadow_width"],
    homography: Array,
    size: tuple[int, int],
) -> None:
    """Darken the ground below and to the right of a layer, in place."""
    shift = np.eye(3)
    shift[:2, 2] = 0.03 * min(size), 0.05 * min(size)
    moved = shift @ homography
    patch = patch_of(moved, size, margin=1.0)
    if patch is None:
        return
    drawn = functional.grid_sample(shadow, sampling_grid(moved, patch), align_corners=False)[0]
    top, bottom, left, right = patch
    canvas[:, top:bottom, left:right].mul_(1 - 0.5 * drawn)


@dataclass(frozen=True)
class _Film:
    """How the clip was recorded."""

    contrast: float
    gamma: float
    tint: Float[Tensor, "3 1 1"]
    flicker: Wave
    blur: int
    """Length of the blur in pixels; 1 for none."""
    blur_is_vertical: bool
    grain: Float[Tensor, "3 height width"] | None
    """One picture of the sensor's noise; every frame shows it from another corner."""
    quality: int | None
    """Of the JPEG compression; None for none."""

    @classmethod
    def draw(
        cls, generator: np.random.Generator, size: tuple[int, int], config: MadeUpConfig
    ) -> _Film:
        grain = None
        if generator.uniform() < config.noise:
            noise = generator.standard_normal((3, *size), dtype=np.float32)
            grain = torch.from_numpy(noise * np.float32(generator.uniform(0, 0.03)))
        return cls(
            contrast=float(generator.uniform(0.8, 1.15)),
            gamma=float(exp(generator.normal(0, 0.15))),
            tint=torch.from_numpy(generator.normal(1, 0.05, (3, 1, 1)).astype(np.float32)),
            flicker=draw_wave(generator, config.light_change),
            blur=int(generator.choice([3, 3, 5])) if generator.uniform() < config.blur else 1,
            blur_is_vertical=bool(generator.uniform() < 0.3),
            grain=grain,
            quality=int(generator.integers(35, 95)) if generator.uniform() < config.jpeg else None,
        )

    def expose(
        self, generator: np.random.Generator, image: Float[Tensor, "3 height width"], time: float
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Turn a drawn moment into a frame."""
        gain = self.tint * self.contrast * (1 + self.flicker.at(time))
        image = (image.clamp(0, 1).pow(self.gamma) - 0.5) * gain + 0.5
        if self.blur > 1:
            kernel = (self.blur, 1) if self.blur_is_vertical else (1, self.blur)
            padding = (kernel[0] // 2, kernel[1] // 2)
            image = functional.avg_pool2d(
                image, kernel, stride=1, padding=padding, count_include_pad=False
            )
        if self.grain is not None:
            corner = [int(generator.integers(side)) for side in image.shape[1:]]
            image += self.grain.roll(corner, dims=(1, 2))
        pixels = image.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return pixels if self.quality is None else _compressed(pixels, self.quality)


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Write and read as JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


Option = TypeVar("Option")


def _choose(generator: np.random.Generator, options: Sequence[Option]) -> Option:
    return options[int(generator.integers(len(options)))]
