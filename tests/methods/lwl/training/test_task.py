"""Losses, what each recipe trains, hold-outs, and broken pictures met on the way."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from fixtures.imitations import (
    imitate_coco,
    imitate_davis2017,
    imitate_youtube_vos,
    write_frame,
    write_labels,
)
from maskcast.core.errors import ConfigError, DatasetError, WeightsError
from maskcast.io.weights.names import read_weights
from maskcast.methods.lwl import presets
from maskcast.methods.lwl.training.clip_settings import ClipSampling
from maskcast.methods.lwl.training.config import (
    DataConfig,
    LossConfig,
    LWLTrainingConfig,
    Rates,
    RolloutConfig,
)
from maskcast.methods.lwl.training.data import TrainingSources
from maskcast.methods.lwl.training.recipes import RECIPES
from maskcast.methods.lwl.training.task import LWLTask, mean_region_similarity
from maskcast.training.loop import train
from maskcast.training.optimisation import freeze_the_rest

LADDER = [name for name in RECIPES if name.startswith("lwl-ladder")]


@pytest.fixture(scope="session")
def data_sets(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    root = tmp_path_factory.mktemp("data")
    return DataConfig(
        youtube_vos=imitate_youtube_vos(root / "youtube-vos"),
        youtube_vos_hold_out_size=1,
        davis=imitate_davis2017(root / "davis"),
        coco=imitate_coco(root / "coco"),
    )


def in_miniature(config: LWLTrainingConfig, data: DataConfig) -> LWLTrainingConfig:
    """The same recipe on small pictures with a small trunk; its switches and weights stay."""
    network = replace(
        config.model.network,
        trunk="resnet18",
        trunk_layout="imagenet",
        feature_channels=16,
        label_widths=(4, 4, 8),
        decoder_widths=(8, 8, 8, 8),
        upsampler_width=4,
        box_width=8,
    )
    weights = {
        name: getattr(config.data, name)
        for name in DataConfig.__dataclass_fields__
        if name.endswith("_weight")
    }
    return replace(
        config,
        model=replace(config.model, network=network),
        data=replace(data, **weights),
        processing=replace(config.processing, size=(64, 96)),
        validation_clips=2,
        loop=replace(config.loop, iterations=2, epochs=1, batch_size=2, workers=0),
    )


def gradients(task: LWLTask, items: range) -> dict[str, float]:
    """Largest gradient of each part of the network."""
    clips = task.dataset(0)
    batch = task.collate([clips[index] for index in items])
    task.module.zero_grad()
    task.loss(batch)["total"].backward()

    def largest(module: nn.Module) -> float:
        found = [p.grad.abs().max() for p in module.parameters() if p.grad is not None]
        return max(map(float, found), default=0.0)

    return {name: largest(child) for name, child in task.network.named_children()}


def trains_label_encoder_by_learner(task: LWLTask) -> None:
    """Give the weight head, which starts at a constant, something to say."""
    torch.manual_seed(0)
    for parameter in task.network.label_encoder.parameters():
        nn.init.normal_(parameter, std=0.3)


@pytest.mark.parametrize("name", LADDER)
def test_each_rung_of_the_ladder_trains_what_it_says(name: str, data_sets: DataConfig) -> None:
    torch.manual_seed(0)
    task = LWLTask(in_miniature(RECIPES[name].config, data_sets))
    trains_label_encoder_by_learner(task)
    through_the_learner = name != "lwl-ladder-baseline"
    learned_label = name in {"lwl-ladder-label", "lwl-ladder-weight"}
    everything = gradients(task, range(2))
    # κ acts inside the learner only, and so do the labels
    assert (everything["learner"] > 0) == through_the_learner
    assert (everything["label_encoder"] > 0) == learned_label
    freeze_the_rest(task.module, task.parameter_groups())
    found = gradients(task, range(2))
    assert found["decoder"] > 0
    assert (found["features"] > 0) == through_the_learner
    trained = {group["name"] for group in task.parameter_groups()}
    expected = {"decoder"}
    expected |= {"features", "kappa"} if through_the_learner else set()
    expected |= {"label_encoder"} if learned_label else set()
    assert trained == expected
    has_weight_head = any("weight" in n for n, _ in task.network.label_encoder.named_children())
    assert has_weight_head == (name == "lwl-ladder-weight")


def test_the_box_stage_trains_the_box_encoder_alone(data_sets: DataConfig) -> None:
    torch.manual_seed(0)
    task = LWLTask(in_miniature(RECIPES["lwl-box"].config, data_sets))
    assert [group["name"] for group in task.parameter_groups()] == ["box_encoder"]
    found = gradients(task, range(2))
    assert found["box_encoder"] > 0
    assert found["trunk"] == found["features"] == found["label_encoder"] == 0


def test_total_is_the_weighted_sum_of_its_parts(data_sets: DataConfig) -> None:
    base = in_miniature(RECIPES["lwl-stage1"].config, data_sets)
    network = replace(base.model.network, box_encoder=True)
    loss = LossConfig(mask_weight=100.0, box_weight=10.0, cross_entropy=0.5, over="frame")
    config = replace(base, model=replace(base.model, network=network), loss=loss)
    torch.manual_seed(0)
    task = LWLTask(config)
    clips = task.dataset(0)
    batch = task.collate([clips[0], clips[1]])
    found = task.loss(batch)
    only_boxes = LWLTask(replace(config, loss=replace(loss, mask_weight=0.0)))
    only_boxes.network.load_state_dict(task.network.state_dict())
    boxes = only_boxes.loss(batch)["total"]
    masks = 100 * (found["lovasz"] + 0.5 * found["cross_entropy"])
    torch.testing.assert_close(found["total"], masks + boxes)


def test_updates_change_what_later_frames_are_segmented_with(data_sets: DataConfig) -> None:
    config = in_miniature(RECIPES["lwl-stage1"].config, data_sets)
    losses = {}
    for apply_updates in (False, True):
        torch.manual_seed(0)
        task = LWLTask(replace(config, apply_updates=apply_updates))
        clips = task.dataset(0)
        losses[apply_updates] = task.loss(task.collate([clips[0]]))["lovasz"]
    assert losses[False] != losses[True]


def test_region_similarity_by_hand() -> None:
    logits = torch.tensor([[[[1.0, 1.0, -1.0, -1.0]]], [[[-1.0, -1.0, -1.0, -1.0]]]])
    masks = torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]], [[[0.0, 0.0, 0.0, 0.0]]]])
    # one pixel shared of three claimed; both empty counts 1
    torch.testing.assert_close(mean_region_similarity(logits, masks), torch.tensor((1 / 3 + 1) / 2))


def test_the_hold_out_is_never_trained_on(data_sets: DataConfig) -> None:
    task = LWLTask(in_miniature(RECIPES["lwl-stage1"].config, data_sets))
    trained_on = {
        video.name
        for share in task.sources.training
        for video in getattr(share.source, "videos", ())
    }
    held_out = {video.name for share in task.sources.held_out for video in share.source.videos}
    assert len(held_out) == 1
    assert not trained_on & held_out


@pytest.mark.parametrize("trunk", ["resnet18", "efficientnet-lite0"])
def test_the_trunk_is_trained_from_stride_8_on(trunk: str, data_sets: DataConfig) -> None:
    config = in_miniature(RECIPES["lwl-stage2"].config, data_sets)
    network = replace(config.model.network, trunk=trunk)
    torch.manual_seed(0)
    task = LWLTask(replace(config, model=replace(config.model, network=network)))
    freeze_the_rest(task.module, task.parameter_groups())
    trained = {
        name.split(".")[0] for name, p in task.network.trunk.named_parameters() if p.requires_grad
    }
    assert trained == {"layer2", "layer3", "layer4"}
    taps = task.network.trunk(torch.rand(1, 3, 64, 96))
    assert taps.layer1.grad_fn is None  # no graph is kept of what is frozen
    assert gradients(task, range(2))["trunk"] > 0


def test_the_trunk_is_taken_from_a_file(data_sets: DataConfig, tmp_path: Path) -> None:
    config = in_miniature(RECIPES["lwl-stage1"].config, data_sets)
    torch.manual_seed(0)
    before = LWLTask(config)
    tensors = {name: t.contiguous() for name, t in before.network.state_dict().items()}
    save_file(tensors, tmp_path / "lwl.safetensors")
    after = LWLTask(replace(config, trunk_weights=tmp_path / "lwl.safetensors"))
    for name, tensor in after.network.trunk.state_dict().items():
        assert torch.equal(tensor, before.network.trunk.state_dict()[name])
    assert not torch.equal(after.network.features.conv.weight, before.network.features.conv.weight)


def test_data_that_were_not_given_are_asked_for() -> None:
    task = LWLTask(in_miniature(RECIPES["lwl-stage1"].config, DataConfig()))
    with pytest.raises(ConfigError, match=r"draws from data\.youtube_vos, which is not set"):
        task.dataset(0)


def test_a_run_trains_validates_and_exports(data_sets: DataConfig, tmp_path: Path) -> None:
    recipe = RECIPES["lwl-stage2"]
    config = in_miniature(recipe.config, data_sets)
    config = replace(config, loop=replace(config.loop, validate_every=1))
    outcome = train("lwl-stage2", recipe, tmp_path / "run", config=config, device="cpu")
    assert outcome.step == 2
    assert outcome.weights.is_file()
    logged = [
        json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    ]
    reports = [line for line in logged if line["kind"] == "epoch"]
    levels = ("layer1", "layer2", "layer3", "layer4")
    assert [(line["step"], line["epoch"]) for line in reports] == [(2, 0)]
    assert all(0 <= reports[0][f"dead_{level}"] <= 1 for level in levels)
    again = LWLTask(config)
    weights = read_weights(str(outcome.weights))
    assert weights.method == "lwl"
    again.start_from(weights.tensors)


@pytest.mark.parametrize("name", LADDER)
def test_each_rung_is_evaluated_on_a_hold_out(name: str, data_sets: DataConfig) -> None:
    torch.manual_seed(0)
    config = in_miniature(RECIPES[name].config, data_sets)
    config = replace(config, validation_clips=3, loop=replace(config.loop, batch_size=1))
    task = LWLTask(config)
    assert task.validation_parts() == 3
    for share in task.sources.training:
        share.source.draw = None  # only the hold-out may be read
    with torch.no_grad():
        found = [task.validate_part(part) for part in range(3)]
        again = task.validate_part(1)
    assert next(iter(found[0])) == "J"  # which chooses the best weights
    assert all(0 <= values["J"] <= 1 for values in found)
    assert again == found[1] != found[0]


def test_a_validation_talks_to_no_other_process(
    data_sets: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(own: Tensor) -> Tensor:
        raise AssertionError("the other processes do something else meanwhile")

    monkeypatch.setattr("maskcast.methods.lwl.training.task.gather_for_loss", gather)
    task = LWLTask(in_miniature(RECIPES["lwl-stage1"].config, data_sets))
    assert "J" in task.validate_part(0)
    clips = task.dataset(0)
    with pytest.raises(AssertionError):
        task.loss(task.collate([clips[0]]))


def write_video(folder: Path, *, ids: int, frames: int = 8) -> None:
    """Write a video of stripes, one for each object."""
    label_map = np.zeros((24, 40), dtype=np.uint8)
    for object_id in range(1, ids + 1):
        label_map[4 * object_id - 2 : 4 * object_id, 8:30] = object_id
    for index in range(frames):
        write_frame(folder / "frames" / f"{index}.png", np.full((24, 40, 3), 9, dtype=np.uint8))
        write_labels(folder / "masks" / f"{index}.png", label_map)


def test_rendered_videos_have_a_weight_of_their_own_and_a_target_for_each_object(
    tmp_path: Path,
) -> None:
    write_video(tmp_path / "real/train", ids=2)
    write_video(tmp_path / "rendered/boxes", ids=3)
    write_video(tmp_path / "rendered/mugs", ids=4)
    data = DataConfig(
        youtube_vos_weight=0.0,
        davis_weight=0.0,
        videos=(tmp_path / "real",),
        videos_weight=3.0,
        rendered=(tmp_path / "rendered",),
        rendered_weight=1.0,
        held_out=("mugs",),
        all_objects_as_one=True,
    )
    sources = TrainingSources.open(data, query_frames=2)
    assert [(share.source.name, share.weight) for share in sources.training] == [
        ("videos", 3.0),
        ("rendered", 1.0),
    ]
    # the two objects of the real video are one, those of the rendered one are not
    assert [len(share.source) for share in sources.training] == [1, 3]
    assert [len(share.source) for share in sources.held_out] == [4]
    without = TrainingSources.open(
        replace(data, rendered=(), rendered_weight=0.0, held_out=()), query_frames=2
    )
    assert without.fingerprint != sources.fingerprint
    with pytest.raises(ConfigError, match="held-out videos do not exist: mugs"):
        TrainingSources.open(replace(data, rendered=()), query_frames=2)


def test_cutouts_are_pasted_and_change_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "cutouts").mkdir()
    white = np.full((24, 24, 4), 255, dtype=np.uint8)
    Image.fromarray(white).save(tmp_path / "cutouts/square.png")
    label_map = np.zeros((60, 80), dtype=np.uint8)
    label_map[15:45, 20:60] = 1
    write_frame(tmp_path / "pair/images/dark.png", np.full((60, 80, 3), 9, dtype=np.uint8))
    write_labels(tmp_path / "pair/masks/dark.png", label_map)
    data = DataConfig(
        youtube_vos_weight=0.0,
        davis_weight=0.0,
        pictures=(tmp_path / "pair",),
        pictures_weight=1.0,
        synthetic_weight=1.0,
        synthetic_absent=0.25,
    )
    plain = TrainingSources.open(data, query_frames=2)
    pasted = TrainingSources.open(replace(data, cutouts=(tmp_path / "cutouts",)), query_frames=2)
    assert plain.fingerprint != pasted.fingerprint
    static, synthetic = (share.source for share in pasted.training)
    assert static.absent == synthetic.absent == 0.25
    generator = np.random.default_rng(0)
    for source in (static.strangers, synthetic.cutouts):
        drawn = [source.draw_cutout(generator, 40) for _ in range(60)]
        share = sum(float(cutout.image.amax()) == 1 for cutout in drawn) / 60
        assert share == pytest.approx(0.5, abs=0.2)  # objects of the picture are dark
    alone = replace(data, pictures=(), pictures_weight=0.0, cutouts=(tmp_path / "cutouts",))
    synthetic = TrainingSources.open(alone, query_frames=2).training[0].source
    assert float(synthetic.cutouts.draw_cutout(generator, 40).image.amax()) == 1
    with pytest.raises(ConfigError, match="cutouts_share"):
        replace(data, cutouts_share=1.0)


def test_long_clips_of_short_videos_take_the_settings_of_sampling(tmp_path: Path) -> None:
    write_video(tmp_path / "boxes", ids=1, frames=10)
    data = DataConfig(
        youtube_vos_weight=0.0,
        davis_weight=0.0,
        rendered=(tmp_path,),
        rendered_weight=1.0,
        sampling=ClipSampling(fewest_visible=3, distinct=True, needs_earlier_frame=False),
    )
    source = TrainingSources.open(data, query_frames=8).training[0].source
    clip = source.draw(np.random.default_rng(0), 8)
    drawn = clip.name.split("frames ")[1]
    assert drawn in {str([first, *range(first + 1, first + 9)]) for first in (0, 1)}
    with pytest.raises(DatasetError, match="at least 19"):
        TrainingSources.open(replace(data, sampling=ClipSampling()), query_frames=8)


def test_videos_of_davis_are_held_out_by_name(data_sets: DataConfig) -> None:
    base = in_miniature(RECIPES["lwl-davis-stage1"].config, data_sets)
    assert LWLTask(base).validation_parts() == 0
    assert LWLTask(base).pictures() == {}
    sources = LWLTask(replace(base, data=replace(base.data, held_out=("video-1",)))).sources
    ((trained_on,), (held_out,)) = sources.training, sources.held_out
    assert [video.name for video in trained_on.source.videos] == ["video-0"]
    assert [video.name for video in held_out.source.videos] == ["video-1"]
    with pytest.raises(ConfigError, match="held-out videos do not exist: bear"):
        LWLTask(replace(base, data=replace(base.data, held_out=("bear",)))).dataset(0)


def test_weights_that_do_not_fit_are_refused(data_sets: DataConfig) -> None:
    task = LWLTask(in_miniature(RECIPES["lwl-stage1"].config, data_sets))
    tensors: dict[str, Tensor] = dict(task.network.state_dict())
    tensors.pop("learner.kappa")
    with pytest.raises(WeightsError, match="1 tensors missing"):
        task.start_from(tensors)


def test_weights_without_a_box_encoder_start_a_box_stage(data_sets: DataConfig) -> None:
    mask_network = LWLTask(in_miniature(RECIPES["lwl-stage1"].config, data_sets)).network
    box_task = LWLTask(in_miniature(RECIPES["lwl-box"].config, data_sets))
    box_task.start_from(mask_network.state_dict())
    torch.testing.assert_close(
        box_task.network.decoder.state_dict(), mask_network.decoder.state_dict()
    )


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError):
        Rates(decoder=-1.0)
    with pytest.raises(ConfigError):
        LossConfig(mask_weight=0.0)
    with pytest.raises(ConfigError):
        LWLTrainingConfig(loss=LossConfig(box_weight=1.0))
    assert presets.small().network.box_encoder


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_the_trunk_starts_from_a_file(ending: str, tmp_path: Path) -> None:
    """In torchvision's names, and in those of maskrcnn-benchmark."""
    base = replace(RECIPES["lwl-stage1"].config, model=presets.tiny())
    tensors = LWLTask(base).network.trunk.state_dict()
    tensors = {name: torch.full(tensor.shape, 0.25) for name, tensor in tensors.items()}
    path = tmp_path / f"trunk.{ending}"
    if ending == "safetensors":
        save_file({**tensors, "fc.weight": torch.ones(2, 2)}, path)
    else:
        body = "module.backbone.body."
        named = {
            body + (name if name.startswith("layer") else f"stem.{name}"): tensor
            for name, tensor in tensors.items()
        }
        torch.save({"model": {**named, "module.rpn.weight": torch.ones(1)}, "iteration": 9}, path)
    trunk = LWLTask(replace(base, trunk_weights=path)).network.trunk
    assert trunk.conv1.weight.eq(0.25).all() and trunk.layer4[1].bn2.running_var.eq(0.25).all()


@pytest.mark.parametrize("decoded", [False, True], ids=["as it is", "decoded"])
def test_a_broken_picture_is_passed_over(decoded: bool, tmp_path: Path) -> None:
    """Pictures that were cut short and a torn mask, in a data set of the real layout."""
    root = imitate_davis2017(tmp_path / "davis")
    for picture in (root / "JPEGImages/480p/video-0").iterdir():
        picture.write_bytes(picture.read_bytes()[:1500])
    (root / "Annotations/480p/video-1/00000.png").write_bytes(b"torn")
    recipe = RECIPES["lwl-davis-stage1"]
    data = DataConfig(davis=root, decoded=tmp_path / "decoded" if decoded else None)
    config = in_miniature(recipe.config, data)
    config = replace(config, loop=replace(config.loop, iterations=3))
    outcome = train("lwl-davis-stage1", recipe, tmp_path / "run", config=config, device="cpu")
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    broken = [line for line in map(json.loads, lines) if line["kind"] == "broken_item"]
    assert outcome.step == 3 and broken
    assert all("video-0" in line["item"] for line in broken)


def test_a_broken_picture_of_the_hold_out_does_not_end_the_run(tmp_path: Path, caplog) -> None:
    root = imitate_davis2017(tmp_path / "davis")
    for name in ("00008", "00009"):
        (root / f"JPEGImages/480p/video-1/{name}.jpg").write_bytes(b"torn")
    config = in_miniature(RECIPES["lwl-davis-stage1"].config, DataConfig(davis=root))
    config = replace(config, data=replace(config.data, held_out=("video-1",)))
    with torch.no_grad():
        found = LWLTask(config).validate_part(0)
    assert 0 <= found["J"] <= 1
    assert "skipped a broken item, an unreadable clip of DAVIS hold-out" in caplog.text


def judging(data: DataConfig) -> LWLTrainingConfig:
    """Recipe that trains nothing but the presence head."""
    base = in_miniature(RECIPES["lwl-stage1"].config, data)
    return replace(
        base,
        model=replace(base.model, network=replace(base.model.network, presence_head=True)),
        rates=Rates(kappa=0.0, features=0.0, decoder=0.0, label_encoder=0.0, presence_head=1e-3),
        loss=LossConfig(mask_weight=0.0, presence_weight=1.0),
        apply_updates=True,
        rollout=RolloutConfig(negatives=2, corrections=0.5),
    )


def test_the_presence_head_learns_alone_from_weights_without_one(data_sets: DataConfig) -> None:
    torch.manual_seed(0)
    task = LWLTask(judging(data_sets))
    mask_network = LWLTask(in_miniature(RECIPES["lwl-stage1"].config, data_sets)).network
    task.start_from(mask_network.state_dict())
    assert [group["name"] for group in task.parameter_groups()] == ["presence_head"]
    found = gradients(task, range(2))
    assert found.pop("presence_head") > 0
    assert set(found.values()) == {0.0}


def test_a_presence_head_that_is_not_there_cannot_be_trained() -> None:
    for settings in ({"rates": Rates(presence_head=1e-3)}, {"loss": LossConfig(presence_weight=1)}):
        with pytest.raises(ConfigError, match="presence_head=true"):
            LWLTrainingConfig(**settings)


def test_boxes_of_all_visible_frames_are_learnt_from(data_sets: DataConfig) -> None:
    base = in_miniature(RECIPES["lwl-box"].config, data_sets)
    torch.manual_seed(0)
    task = LWLTask(replace(base, query_frames=2))
    clips = task.dataset(0)
    batch = task.collate([clips[0], clips[1]])
    batch = batch._replace(visible=torch.tensor([[1, 1], [1, 0], [0, 1]], dtype=torch.int8))
    every = LWLTask(replace(base, loss=replace(base.loss, box_frames="all", box_regression=2.0)))
    every.network.load_state_dict(task.network.state_dict())
    found = every.loss(batch)
    chosen = [(0, 0), (0, 1), (1, 0), (2, 1)]
    images = torch.stack([batch.images[place] for place in chosen])[None]
    masks = torch.stack([batch.masks[place] for place in chosen])[None]
    boxes = torch.stack([batch.boxes[place] for place in chosen])[None]
    same = batch._replace(images=images, masks=masks, boxes=boxes, visible=batch.visible[:1])
    visible = torch.ones(1, 4, dtype=torch.int8)
    expected = task.loss(same._replace(visible=visible))
    torch.testing.assert_close(found["box_lovasz"], expected["box_lovasz"])
    torch.testing.assert_close(found["total"], expected["total"] + 2 * found["box_regression"])


def test_rendered_clips_are_measured_apart(data_sets: DataConfig) -> None:
    config = replace(in_miniature(RECIPES["lwl-stage1"].config, data_sets), validation_clips=6)
    task = LWLTask(config)
    (share,) = task.sources.held_out
    source = copy.copy(share.source)
    source.name = "rendered hold-out"
    task._sources = replace(task.sources, held_out=(share, replace(share, source=source)))
    assert task.validation_parts() == 2  # three batches of two: one of each kind
    with torch.no_grad():
        found = [task.validate_part(part) for part in range(2)]
    assert "J" in found[0] and "J_rendered" not in found[0]
    assert "J_rendered" in found[1] and "J" not in found[1]
    result = task.combine_parts([{k: float(v) for k, v in part.items()} for part in found])
    assert result["quality"] == pytest.approx(0.6 * result["J"] + 0.4 * result["J_rendered"])
