"""What a synthetic clip shows is what its masks say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from maskcast.data.synthetic.motion import draw_camera, draw_motion
from maskcast.data.synthetic.stage import Cutout, Film, FilmConfig, Stage, as_layer, render

SIZE = (40, 60)
PLAIN = FilmConfig(blur=0, noise=0, jpeg=0, light_change=0)


def disc(colour: int) -> Cutout:
    image = torch.zeros(3, 32, 32)
    image[colour] = 1
    y, x = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(32) - 15.5, indexing="ij")
    return Cutout(image, (12.5 - torch.hypot(x, y)).clamp(0, 1))


def layer(colour: int, object_id: int, x: float, *, shadow: bool = False):
    motion = draw_motion(
        np.random.default_rng(object_id), start=(x, 0.0), size=0.3, aspect=1.0, pace=1.0
    )
    return as_layer(disc(colour), motion, object_id, shadow=shadow)


def stage(*layers) -> Stage:
    camera = draw_camera(np.random.default_rng(0), 1.0)
    return Stage(torch.zeros(1, 3, 48, 72), 1.2, camera, layers)


def test_a_mask_is_where_its_object_covers_half_of_the_pixel_at_any_time():
    for time in (0.0, 11.0, 37.5):
        canvas, label_map = render(stage(layer(0, 1, 0.0)), SIZE, time)
        # red on black: the red channel is the coverage
        assert torch.equal(label_map == 1, canvas[0] >= 0.5)
        assert (label_map == 1).sum() > 50


def test_what_is_in_front_owns_the_pixel():
    together, alone = (
        render(shown, SIZE, 0.0)[1]
        for shown in (stage(layer(0, 1, 0.0), layer(1, 2, 0.2)), stage(layer(1, 2, 0.2)))
    )
    assert torch.equal(together == 2, alone == 2)
    assert 0 < (together == 1).sum() < (render(stage(layer(0, 1, 0.0)), SIZE, 0.0)[1] == 1).sum()


def test_something_without_an_id_hides_an_object():
    hidden = stage(layer(0, 1, 0.0), replace(layer(1, 2, 0.0), object_id=0))
    label_map = render(hidden, SIZE, 0.0)[1]
    assert set(label_map.unique().tolist()) <= {0, 1} and (label_map == 1).sum() < 30


def test_a_shadow_darkens_and_is_nobodys_mask():
    bright = replace(stage(layer(0, 1, 0.0, shadow=True)), scene=torch.ones(1, 3, 48, 72))
    canvas, label_map = render(bright, SIZE, 0.0)
    plain = render(replace(bright, layers=(layer(0, 1, 0.0),)), SIZE, 0.0)
    assert torch.equal(label_map, plain[1])
    assert canvas[1][label_map == 0].min() < 0.8 and plain[0][1][label_map == 0].min() > 0.4
    assert (canvas <= plain[0] + 1e-6).all()


def test_a_film_without_effects_keeps_the_order_of_brightness():
    generator = np.random.default_rng(3)
    film = Film.draw(generator, (4, 64), PLAIN)
    ramp = torch.linspace(0, 1, 64).expand(3, 4, 64)
    frame = film.expose(ramp, 0.0)
    assert frame.shape == (4, 64, 3) and frame.dtype == np.uint8
    assert (np.diff(frame.astype(int), axis=1) >= 0).all() and frame[0, -1, 0] > frame[
        0, 0, 0
    ] + 100


def test_effects_change_a_frame_but_not_its_size():
    generator = np.random.default_rng(3)
    film = Film.draw(generator, SIZE, FilmConfig(blur=1, noise=1, jpeg=1))
    assert film.blur in (3, 5) and film.grain is not None and film.quality is not None
    picture = torch.rand(3, *SIZE)
    frame = film.expose(picture, 0.0)
    assert frame.shape == (*SIZE, 3)
    assert frame.std() < 255 * picture.numpy().std()
