"""Recipes have the numbers of the publication."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.core.config import config_to_dict
from maskcast.data.hold_out_names import SMALL_HOLD_OUT
from maskcast.methods.lwl.training.config import LWLTrainingConfig
from maskcast.methods.lwl.training.recipes import RECIPES
from maskcast.methods.lwl.training.task import LWLTask

STAGE_1 = (1e-4, 2e-5, 1e-4, 2e-4, 0.0, 0.0)
STAGE_2 = (2e-5, 2e-5, 2e-5, 2e-5, 2e-5, 0.0)
BOX = (0.0, 0.0, 0.0, 0.0, 0.0, 1e-3)


def test_rungs_have_as_many_encoding_channels_as_the_specification_says() -> None:
    filters = {
        name: RECIPES[name].config.model.network.filters for name in RECIPES if "ladder" in name
    }
    assert filters == {
        "lwl-ladder-baseline": 1,
        "lwl-ladder-end-to-end": 1,
        "lwl-ladder-label": 16,
        "lwl-ladder-weight": 16,
    }


@pytest.mark.parametrize(
    "name",
    [name for name in RECIPES if not name.startswith(("lwl-ladder", "lwl-small", "lwl-presence"))],
)
def test_every_recipe_builds_at_full_size(name: str) -> None:
    config = RECIPES[name].config
    assert config_to_dict(config)["loop"]["iterations"] == 1000
    with torch.device("meta"):
        groups = LWLTask(config).parameter_groups()
    assert groups


@pytest.mark.parametrize(
    ("name", "rates", "milestones", "epochs", "batch_size"),
    [
        ("lwl-stage1", STAGE_1, (40,), 70, 20),
        ("lwl-stage2", STAGE_2, (25, 75), 80, 20),
        ("lwl-box", BOX, (20, 40), 50, 8),
    ],
)
def test_published_stages_are_those_of_the_specification(
    name: str,
    rates: tuple[float, ...],
    milestones: tuple[int, ...],
    epochs: int,
    batch_size: int,
) -> None:
    """Section 7.5: rates of κ, features, decoder, label encoder, trunk, box encoder; schedule."""
    config = RECIPES[name].config
    loop = config.loop
    assert tuple(vars(config.rates).values()) == (*rates, 0.0)  # and no presence head
    assert (loop.schedule.kind, loop.schedule.milestones) == ("milestones", milestones)
    assert loop.schedule.factor == 0.2
    assert (loop.epochs, loop.iterations, loop.batch_size) == (epochs, 1000, batch_size)
    assert loop.validate_every == 5 and config.validation_clips == 100 * batch_size
    assert loop.optimiser.kind == "adam" and loop.optimiser.weight_decay == 0
    assert loop.clip_norm is None and loop.clip_value is None and loop.average_decay is None
    assert (config.initial_steps, config.update_steps, config.apply_updates) == (5, 2, False)
    assert config.loss.over == "batch" and config.loss.cross_entropy == 0


def test_published_stages_draw_from_what_the_specification_says() -> None:
    """Section 7.1: the mixtures; 7.3 and 7.4: crops, and no affine changes for boxes."""
    masks, boxes = RECIPES["lwl-stage1"].config, RECIPES["lwl-box"].config
    kinds = ("youtube_vos", "davis", "coco", "videos", "pictures", "synthetic")

    def chances(config: LWLTrainingConfig) -> list[float]:
        weights = [getattr(config.data, f"{kind}_weight") for kind in kinds]
        return [weight / sum(weights) for weight in weights]

    assert chances(masks) == pytest.approx([6 / 7, 1 / 7, 0, 0, 0, 0])
    assert chances(boxes) == pytest.approx([1 / 2, 0, 1 / 2, 0, 0, 0])
    assert (masks.query_frames, boxes.query_frames) == (3, 1)
    assert (masks.loss.mask_weight, masks.loss.box_weight) == (100, 0)
    assert (boxes.loss.mask_weight, boxes.loss.box_weight) == (0, 10)
    assert masks.processing.size == boxes.processing.size == (480, 832)
    assert (masks.processing.rotation, masks.processing.log_scale) == (15, 0.2)
    assert (boxes.processing.rotation, boxes.processing.log_scale) == (0, 0)


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        (
            "lwl-small",
            [
                "kappa",
                "features",
                "decoder",
                "label_encoder",
                "trunk",
                "box_encoder",
                "presence_head",
            ],
        ),
        ("lwl-presence", ["presence_head"]),
        ("lwl-small-boxes", ["box_encoder"]),
    ],
)
@pytest.mark.parametrize("trunk", ["efficientnet-lite0", "efficientnet-lite2", "resnet18"])
def test_recipes_of_the_small_model_build_on_every_trunk(
    name: str, trained: list[str], trunk: str
) -> None:
    config = RECIPES[name].config
    network = replace(config.model.network, trunk=trunk)
    with torch.device("meta"):
        task = LWLTask(replace(config, model=replace(config.model, network=network)))
        assert [group["name"] for group in task.parameter_groups()] == trained
    assert config.data.held_out == SMALL_HOLD_OUT
    assert "Tiny ImageNet" not in config.licence and "Apache-2.0" in config.licence
