"""Synthetic clips: an endless, seeded supply of short videos whose masks are exact.

Objects move over a scene under affine, perspective and thin-plate motion, cross and hide each
other, leave and return; the camera moves, the light changes, look-alikes distract, and the result
is blurred, noisy and compressed as a real video is. Objects and scenes are procedural, or cut from
image + mask pairs and photographs (``maskcast.data.readers.image_pairs``).

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
"""Seeds from here on belong to the demonstration; ``make_clip`` refuses them."""


LARGEST_HIDDEN = 0.4
"""Half the side of an object, in units of the frame's shorter side, up to which it is hidden; a
larger one leaves the frame instead."""

SCENE = 1.2
"""Side of the scene over side of the frame, so that the camera can move."""


@dataclass(frozen=True)
class SyntheticClip:
    """A short video with exact masks."""

    frames: UInt8[np.ndarray, "frames height width 3"]
    label_maps: UInt8[np.ndarray, "frames height width"]
    ids: tuple[int, ...]
    """The objects; all of them are visible on the first frame."""


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """What may happen in a synthetic clip. Probabilities are per clip unless they say otherwise."""

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
    """Probability that objects cast shadows."""
    film: FilmConfig = field(default_factory=FilmConfig)
    """How it is recorded."""

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
    """Make one clip; the same arguments make the same clip.

    Args:
        seed: below ``FIRST_RESERVED_SEED``; the demonstration's seeds are never made here.
        frames: how many, at 24 a second; not used when ``times`` are given.
        size: height and width.
        objects: fewest and most objects.
        times: when the frames are taken, in frames; the first one must be 0.
        cutouts: where objects come from; procedural if not given.
        scenes: where backgrounds come from; procedural if not given.
        absence: when object 1 leaves the frame or is hidden; never if not given.

    Raises:
        UsageError: the seed is reserved or negative.
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
    """Draw the scene, the camera and everything that moves."""
    height, width = size
    scene = scenes.draw_scene(generator, (int(SCENE * height), int(SCENE * width)))
    pace = exp(generator.uniform(log(config.pace[0]), log(config.pace[1])))
    shows_shadow = generator.uniform() < config.shadow
    reach = (0.36 * width / min(size), 0.36 * height / min(size))
    layers: list[Layer] = []
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
        layers.append(as_layer(cutout, motion, slot + 1, shadow=shows_shadow))
    if generator.uniform() < config.look_alike:
        layers.append(look_alike(generator, layers[0], places[count], pace, horizon))
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
    """Make object 1 leave the frame while it is absent, or put something in front of it."""
    place, target = next((i, each) for i, each in enumerate(layers) if each.object_id == 1)
    changed = list(layers)
    if target.motion.size > LARGEST_HIDDEN or generator.uniform() < 0.5:
        changed[place] = leave_frame(generator, target, absence, size)
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
    """Pixels of a cutout so that it is drawn about as large as it is stored."""
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
    place: tuple[float, float],
    pace: float,
    horizon: float,
) -> Layer:
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
) -> Layer:
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
    return as_layer(cutout, motion, 0, shadow=False)


def _post(generator: np.random.Generator, resolution: int) -> Cutout:
    texture = choose(generator, list(textures.TRAINING_TEXTURES.values()))
    image = texture(generator, (resolution, resolution))
    alpha = torch.zeros(resolution, resolution)
    alpha[2:-2, 2:-2] = 1
    across = torch.linspace(-1, 1, resolution)
    return Cutout(image * (1 - 0.5 * across**2), alpha)


class SyntheticClips:
    """Synthetic clips as a source for training: a fresh one for each draw.

    Args:
        size: height and width of the frames, before the crop.
        reach: longest time from the first frame to the last, in frames.
        absent: probability that the object leaves the frame or is hidden in some of the test
            frames. If it is positive, test frames without the object are kept wherever they occur.
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
    """Take one object's frames, also those that do not show it."""
    return _take(name, clip, object_id, range(len(clip.frames)))


def _take(name: str, clip: SyntheticClip, object_id: int, places: Iterable[int]) -> DrawnClip:
    kept = list(places)
    label_maps = [clip.label_maps[place] for place in kept]
    return DrawnClip(
        name,
        tuple(clip.frames[place] for place in kept),
        tuple((each == object_id).astype(np.uint8) for each in label_maps),
        others=tuple(np.where(each == object_id, 0, each).astype(np.uint8) for each in label_maps),
    )


def visible_clip(
    name: str, clip: SyntheticClip, object_id: int, generator: np.random.Generator
) -> DrawnClip:
    """Take one object's frames; test frames without it give way to others, drawn again."""
    masks = (clip.label_maps == object_id).astype(np.uint8)
    visible = np.flatnonzero(masks[1:].sum(axis=(1, 2)) > 10) + 1
    choices = visible if len(visible) else np.zeros(1, dtype=np.int64)
    wanted = np.where(
        np.isin(np.arange(1, len(masks)), visible),
        np.arange(1, len(masks)),
        choices[generator.integers(len(choices), size=len(masks) - 1)],
    )
    return _take(name, clip, object_id, [0, *(int(place) for place in np.sort(wanted))])
