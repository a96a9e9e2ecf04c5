"""Render synthetic clips: an endless, seeded supply of short videos with exact masks.

Objects move over a scene with affine, perspective and thin-plate motion; they cross and hide each
other, leave and return. The camera moves, the light changes, look-alikes distract, and the frames
are blurred, noisy and compressed like a real video. Objects and scenes are procedural, or cut from
image and mask pairs and photographs (``maskcast.data.readers.image_pairs``).

    frames       frames × height × width × 3   uint8 RGB
    label_maps   frames × height × width       uint8, object ids from 1; 0 is background
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from maskcast.core.config import require_range, require_rising
from maskcast.core.errors import UsageError
from maskcast.data.clips import DrawnClip
from maskcast.data.synthetic import textures
from maskcast.data.synthetic.absences import Absence, board, draw_absence, hide, leave_frame
from maskcast.data.synthetic.cutouts import CutoutSource, ProceduralCutouts, choose
from maskcast.data.synthetic.motion import Excursion, draw_camera, draw_motion, meet, spread_out
from maskcast.data.synthetic.scenes import ProceduralScenes, SceneSource
from maskcast.data.synthetic.stage import Cutout, Film, FilmConfig, Layer, Stage, as_layer, render

FIRST_RESERVED_SEED = 2**31
"""First seed reserved for the demo; ``make_clip`` rejects this seed and higher ones."""


LARGEST_HIDDEN = 0.4
"""Half the side of the largest object that is hidden during an absence, in units of the frame's
shorter side; larger objects leave the frame instead."""

SCENE = 1.2
"""Ratio of the scene's sides to those of the frame, which leaves room for camera motion."""


@dataclass(frozen=True)
class SyntheticClip:
    """A short video with exact masks."""

    frames: UInt8[np.ndarray, "frames height width 3"]
    label_maps: UInt8[np.ndarray, "frames height width"]
    ids: tuple[int, ...]
    """Object ids; all objects are visible on the first frame."""


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Settings of synthetic clips. Probabilities, in [0, 1], are per clip unless stated."""

    object_size: tuple[float, float] = (0.09, 0.30)
    """Range of half the side of an object, in units of the frame's shorter side; greater than 0."""
    pace: tuple[float, float] = (0.4, 2.5)
    """Range of the speed of objects, greater than 0; 1 is walking speed."""
    camera_shake: float = 1.0
    """Strength of the camera's motion; 0 is a fixed camera."""
    look_alike: float = 0.5
    """Probability of a copy of the first object that counts as background."""
    crossing: float = 0.5
    """Probability, for each object after the first, that its path crosses that of the first."""
    leaving: float = 0.15
    """Probability, for each object, that it leaves the frame and returns."""
    occluder: float = 0.35
    """Probability of an occluder in front of all objects, which counts as background."""
    shadow: float = 0.4
    """Probability that objects cast shadows."""
    film: FilmConfig = field(default_factory=FilmConfig)
    """Settings of the recording."""

    def __post_init__(self) -> None:
        probabilities = ("look_alike", "crossing", "leaving", "occluder", "shadow")
        require_range(self, *probabilities, least=0, most=1)
        require_range(self, "object_size", "pace", above=0)
        require_rising(self, "object_size", "pace")


def make_clip(
    seed: int,
    *,
    frames: int = 8,
    size: tuple[int, int] = (240, 416),
    objects: tuple[int, int] = (1, 3),
    times: Sequence[float] | None = None,
    cutouts: CutoutSource | None = None,
    scenes: SceneSource | None = None,
    config: SyntheticConfig | None = None,
    absence: Absence | None = None,
) -> SyntheticClip:
    """Render one clip; the same arguments give the same clip.

    Args:
        seed: seed, at least 0 and below ``FIRST_RESERVED_SEED``; higher seeds are for the demo.
        frames: number of frames, at 24 frames per second; ignored if ``times`` are given.
        size: height and width in pixels.
        objects: minimum and maximum number of objects.
        times: times of the frames, in frames; the first one must be 0.
        cutouts: source of objects; None uses procedural ones.
        scenes: source of backgrounds; None uses procedural ones.
        config: settings; None uses the defaults.
        absence: absence of object 1; None for none.

    Raises:
        UsageError: the seed is reserved or negative, or gives no clip with visible objects.
    """
    if not 0 <= seed < FIRST_RESERVED_SEED:
        raise UsageError(
            f"seed must be in [0, {FIRST_RESERVED_SEED - 1}], got {seed}; higher seeds are for "
            "the demo",
            options=("seed",),
        )
    moments = tuple(range(frames)) if times is None else tuple(times)
    settings = config or SyntheticConfig()
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
            absence=absence,
        )
        first = render(stage, size, moments[0])
        if _all_visible(stage, first[1]):
            break
    else:
        raise UsageError(f"no object stays visible with seed {seed}; choose another seed")
    shots = [first, *(render(stage, size, time) for time in moments[1:])]
    ids = tuple(sorted({layer.object_id for layer in stage.layers} - {0}))
    film = Film.draw(generator, size, settings.film)
    return SyntheticClip(
        np.stack([film.expose(shot[0], t) for shot, t in zip(shots, moments, strict=True)]),
        np.stack([shot[1].numpy() for shot in shots]),
        ids,
    )


def _all_visible(stage: Stage, label_map: UInt8[Tensor, "height width"]) -> bool:
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
    config: SyntheticConfig,
    absence: Absence | None,
) -> Stage:
    """Draw the scene, the camera and all layers."""
    height, width = size
    scene = scenes.draw_scene(generator, (int(SCENE * height), int(SCENE * width)))
    pace = exp(generator.uniform(log(config.pace[0]), log(config.pace[1])))
    shows_shadow = generator.uniform() < config.shadow
    reach = (0.36 * width / min(size), 0.36 * height / min(size))
    layers: list[Layer] = []
    starts = spread_out(generator, count + 1, reach)
    for slot, start in enumerate(starts[:count]):
        side = generator.uniform(*config.object_size)
        cutout = cutouts.draw_cutout(generator, _resolution(side, size))
        motion = draw_motion(
            generator, start=start, size=side, aspect=_aspect(generator, cutout), pace=pace
        )
        if layers and generator.uniform() < config.crossing:
            motion = meet(layers[0].motion, motion, horizon * generator.uniform(0.3, 0.9))
        if generator.uniform() < config.leaving:
            motion = replace(motion, excursion=_draw_excursion(generator, horizon, reach))
        layers.append(as_layer(cutout, motion, slot + 1, shadow=shows_shadow))
    if generator.uniform() < config.look_alike:
        layers.append(look_alike(generator, layers[0], starts[count], pace, horizon))
    order = generator.permutation(len(layers))
    layers = [layers[i] for i in order]
    if generator.uniform() < config.occluder:
        layers.append(_draw_occluder(generator, cutouts, size, reach))
    if absence is not None:
        layers = take_away(generator, layers, absence, size, cutouts=cutouts, scenes=scenes)
    camera = draw_camera(generator, config.camera_shake * generator.uniform(0, 1.5))
    return Stage(scene.unsqueeze(0), SCENE, camera, tuple(layers))


def take_away(
    generator: np.random.Generator,
    layers: Sequence[Layer],
    absence: Absence,
    size: tuple[int, int],
    *,
    cutouts: CutoutSource,
    scenes: SceneSource,
) -> list[Layer]:
    """Make object 1 leave the frame during its absence, or hide it behind another layer."""
    index, target = next((i, layer) for i, layer in enumerate(layers) if layer.object_id == 1)
    changed = list(layers)
    if target.motion.size > LARGEST_HIDDEN or generator.uniform() < 0.5:
        changed[index] = leave_frame(generator, target, absence, size)
        return changed
    fills_square = bool(generator.uniform() < 0.5)
    resolution = _resolution(1.5 * target.motion.size, size)
    cutout = (
        board(scenes.draw_scene(generator, (resolution, resolution)))
        if fills_square
        else cutouts.draw_cutout(generator, resolution)
    )
    hidden = hide(generator, target, absence, cutout=cutout, fills_square=fills_square)
    return [*changed, hidden]


def _resolution(side: float, size: tuple[int, int]) -> int:
    """Return the resolution at which a cut-out is stored about as large as it is drawn."""
    return int(np.clip(2.2 * side * min(size), 20, 320))


def _aspect(generator: np.random.Generator, cutout: Cutout) -> float:
    height, width = cutout.alpha.shape
    return float(width / height * np.exp(generator.normal(0, 0.15)))


def _draw_excursion(
    generator: np.random.Generator, horizon: float, reach: tuple[float, float]
) -> Excursion:
    """Draw a detour far enough to leave the frame sideways."""
    begin = generator.uniform(0.05, 0.4) * horizon
    end = begin + generator.uniform(0.3, 0.8) * horizon
    side = 1.0 if generator.uniform() < 0.5 else -1.0
    shift = (side * reach[0] * generator.uniform(2.5, 4), generator.normal(0, 0.3))
    return Excursion(begin, end, shift)


def look_alike(
    generator: np.random.Generator,
    model: Layer,
    position: tuple[float, float],
    pace: float,
    horizon: float,
) -> Layer:
    """Copy an object with slightly different colours and size, and its own motion."""
    motion = draw_motion(
        generator,
        start=position,
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
) -> Layer:
    """Draw a nearly still layer in front of the others: a post or another object."""
    side = generator.uniform(0.12, 0.35)
    if generator.uniform() < 0.4:
        cutout = _post(generator, _resolution(0.6, size))
        motion_size, aspect = 0.75, generator.uniform(0.1, 0.2)
    else:
        cutout = cutouts.draw_cutout(generator, _resolution(side, size))
        motion_size, aspect = side, 1.0
    position = generator.uniform(-1.1, 1.1, 2) * reach
    motion = draw_motion(
        generator,
        start=(float(position[0]), float(position[1])),
        size=motion_size,
        aspect=aspect,
        pace=0.1,
    )
    return as_layer(cutout, motion, 0, shadow=False)


def _post(generator: np.random.Generator, resolution: int) -> Cutout:
    texture = choose(generator, list(textures.TRAINING_TEXTURES.values()))
    image = texture(generator, (resolution, resolution))
    alpha = torch.zeros(resolution, resolution)
    alpha[2:-2, 2:-2] = 1
    across = torch.linspace(-1, 1, resolution)
    return Cutout(image * (1 - 0.5 * across**2), alpha)


class SyntheticClips:
    """A source of synthetic training clips; each draw renders a new clip.

    Args:
        size: height and width of the frames in pixels, before cropping.
        objects: minimum and maximum number of objects.
        reach: maximum time from the first frame to the last, in frames.
        cutouts: source of objects; None uses procedural ones.
        scenes: source of backgrounds; None uses procedural ones.
        config: settings; None uses the defaults.
        absent: probability, in [0, 1], that the object leaves the frame or is hidden in some test
            frames. If it is positive, test frames without the object are always kept.
    """

    name = "synthetic"

    def __init__(
        self,
        *,
        size: tuple[int, int] = (240, 416),
        objects: tuple[int, int] = (1, 3),
        reach: float = 90.0,
        cutouts: CutoutSource | None = None,
        scenes: SceneSource | None = None,
        config: SyntheticConfig | None = None,
        absent: float = 0.0,
    ) -> None:
        self.absent = absent
        require_range(self, "absent", least=0, most=1)
        self.size = size
        self.objects = objects
        self.reach = reach
        self.cutouts = cutouts
        self.scenes = scenes
        self.config = config

    def __len__(self) -> int:
        return FIRST_RESERVED_SEED

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        seed = int(generator.integers(FIRST_RESERVED_SEED))
        horizon = generator.uniform(8, self.reach)
        times = (0.0, *np.sort(generator.uniform(1, horizon, test_frames)))
        absence = None
        if self.absent and generator.uniform() < self.absent:
            absence = draw_absence(generator, times)
        clip = make_clip(
            seed,
            size=self.size,
            objects=self.objects,
            times=times,
            cutouts=self.cutouts,
            scenes=self.scenes,
            config=self.config,
            absence=absence,
        )
        object_id = 1 if absence else choose(generator, clip.ids)
        name = f"synthetic clip {seed}, object {object_id}"
        if self.absent:
            return whole_clip(name, clip, object_id)
        return visible_clip(name, clip, object_id, generator)


def whole_clip(name: str, clip: SyntheticClip, object_id: int) -> DrawnClip:
    """Return all frames with the masks of one object, including frames that do not show it."""
    return _take(name, clip, object_id, range(len(clip.frames)))


def _take(name: str, clip: SyntheticClip, object_id: int, indices: Iterable[int]) -> DrawnClip:
    kept = list(indices)
    label_maps = [clip.label_maps[index] for index in kept]
    return DrawnClip(
        name,
        tuple(clip.frames[index] for index in kept),
        tuple((labels == object_id).astype(np.uint8) for labels in label_maps),
        others=tuple(
            np.where(labels == object_id, 0, labels).astype(np.uint8) for labels in label_maps
        ),
    )


def visible_clip(
    name: str, clip: SyntheticClip, object_id: int, generator: np.random.Generator
) -> DrawnClip:
    """Return frames with the masks of one object; test frames without it are drawn again."""
    masks = (clip.label_maps == object_id).astype(np.uint8)
    visible = np.flatnonzero(masks[1:].sum(axis=(1, 2)) > 10) + 1
    choices = visible if len(visible) else np.zeros(1, dtype=np.int64)
    wanted = np.where(
        np.isin(np.arange(1, len(masks)), visible),
        np.arange(1, len(masks)),
        choices[generator.integers(len(choices), size=len(masks) - 1)],
    )
    return _take(name, clip, object_id, [0, *map(int, np.sort(wanted))])
