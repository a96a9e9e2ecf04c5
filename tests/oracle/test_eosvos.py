"""e-OSVOS against the published system; tolerances are those of ``oracle/eosvos/README.md``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import paste_masks_in_image

from maskcast.methods.eosvos import object_model
from maskcast.methods.eosvos.augmentation import Warp, draw_warp, warp_frame, warp_label_map
from maskcast.methods.eosvos.box_propagation import jittered_boxes, propagate
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig, NormName, RateLevel
from maskcast.methods.eosvos.inner_loop import (
    LearnedStart,
    fine_tune,
    gradients_of,
    learned_start_of,
)
from maskcast.methods.eosvos.mask_loss import cross_entropy_per_region, lovasz_hinge_per_region
from maskcast.methods.eosvos.mask_rcnn import PYRAMID_STRIDES, FixedScaleTransform
from maskcast.methods.eosvos.merge import merged_slots, normalised
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.published import read_published
from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter
from maskcast.methods.eosvos.targets import make_target
from maskcast.methods.eosvos.training import outer_gradient
from maskcast.methods.eosvos.training.config import InnerLoopConfig
from maskcast.methods.eosvos.training.meta_training import clamp_rates
from maskcast.nn.resnet import IMAGENET_DEVIATION, IMAGENET_MEAN
from oracle.containers import read_inertly
from oracle.eosvos_networks import RESETS, RecordingModel, follow_schedule, weights
from oracle.plumbing import (
    ORACLE,
    OracleFile,
    as_float64,
    check_folder,
    claimed_files,
    each_file,
)

GRADIENT_NORMS = 5e-3


def test_the_folder_holds_what_is_known() -> None:
    check_folder("eosvos")


def network_of(config: MaskRCNNConfig) -> ObjectNetwork:
    network = ObjectNetwork(config)
    network.load_published(weights("model_frozenbn" if config.norm == "frozen_bn" else ""))
    return network


def config_of(settings: dict[str, Any], *, others: tuple[str, ...] = ()) -> MaskRCNNConfig:
    """The network settings as a fixture's JSON has them; ``others`` are read elsewhere."""
    names = {
        "min_size": "min_side",
        "max_size": "max_side",
        "rpn_pre_nms_top_n_train": "pre_nms_train",
        "rpn_post_nms_top_n_train": "post_nms_train",
        "rpn_pre_nms_top_n_test": "pre_nms_test",
        "rpn_post_nms_top_n_test": "post_nms_test",
        "detections_per_img": "detections",
    }
    grouped = {"rpn_pre_nms_top_n", "rpn_post_nms_top_n", "sampler_batch_size"}
    assert not (unknown := set(settings) - set(names) - grouped - set(others)), unknown
    found = {ours: settings[theirs] for theirs, ours in names.items() if theirs in settings}
    for stage in ("pre", "post"):
        for phase, count in settings.get(f"rpn_{stage}_nms_top_n", {}).items():
            found[f"{stage}_nms_{phase}"] = count
    if "sampler_batch_size" in settings:
        both = settings["sampler_batch_size"]
        found |= {"sampled_anchors": both, "sampled_regions": both}
    return MaskRCNNConfig(**found)


def learned_of(network: ObjectNetwork, rules: str = "") -> LearnedStart:
    learned = learned_start_of(network)
    rates = weights("oracle_lr_neuron", rules)
    learned.load_tensors({**learned.state_dict(), **rates})
    return learned


@each_file("eosvos", "backbone_fpn.npz")
def test_trunk_and_pyramid(oracle: OracleFile) -> None:
    x = oracle.tensor("x")
    for prefix, norm, absolute in (("gn", "group", 5e-5), ("frozenbn", "frozen_bn", 1e-4)):
        with torch.no_grad():
            features = network_of(MaskRCNNConfig(norm=norm)).backbone(x)  # type: ignore[arg-type]
        for level, found in features.items():
            oracle.compare(f"{prefix}_{level}", found, relative=0, absolute=absolute)
            oracle.ignore(f"{prefix}_{level}_fp64")


@each_file("eosvos", "anchors_transform.npz")
def test_resizing_padding_and_anchors(oracle: OracleFile) -> None:
    published = FixedScaleTransform(800, 1333, IMAGENET_MEAN, IMAGENET_DEVIATION)
    for row in oracle.array("size_table"):
        height, width = int(row[0]), int(row[1])
        target = {
            "boxes": torch.tensor([[10.0, 20.0, 50.0, 63.0]]),
            "masks": torch.zeros(1, height, width, dtype=torch.uint8),
        }
        images, resized = published([torch.zeros(3, height, width)], [target])
        found = [*images.image_sizes[0], *images.tensors.shape[-2:]]
        oracle.compare_values("sizes", found, row[2:6], relative=0)
        oracle.compare_values("box", resized[0]["boxes"][0], row[6:10], relative=0, absolute=1e-4)
    _compare_small_transform(oracle)
    _compare_anchors(oracle)


def _compare_small_transform(oracle: OracleFile) -> None:
    sides = int(oracle.array("min_size")), int(oracle.array("max_size"))
    small = FixedScaleTransform(*sides, IMAGENET_MEAN, IMAGENET_DEVIATION)
    target = {"boxes": torch.tensor([[3.0, 4.0, 40.0, 51.0]]), "masks": oracle.tensor("mask")}
    images, resized = small([oracle.tensor("image")], [target])
    oracle.compare("out_image", images.tensors, relative=0, absolute=1e-5)
    oracle.compare("out_size", images.image_sizes[0], relative=0)
    oracle.compare("out_mask", resized[0]["masks"], relative=0)
    oracle.compare("out_boxes", resized[0]["boxes"], relative=0, absolute=1e-4)


def _compare_anchors(oracle: OracleFile) -> None:
    height, width = (int(side) for side in oracle.array("padded"))
    network = ObjectNetwork(MaskRCNNConfig())
    maps = [torch.zeros(1, 1, -(-height // s), -(-width // s)) for s in (*PYRAMID_STRIDES, 64)]
    images = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    anchors = network.rpn.anchor_generator(images, maps)[0]
    per_level = oracle.array("anchors_per_level").tolist()
    for level, found in enumerate(torch.split(anchors, per_level)):
        rows = len(oracle.array(f"anchors_level{level}"))
        oracle.compare(f"anchors_level{level}", found[:rows], relative=0, absolute=1e-4)
        checksum = oracle.array("anchor_checksum_per_level")[level]
        oracle.compare_values(
            "checksum", found.double().sum(dim=0), checksum, relative=0, absolute=1e-4 * len(found)
        )


@each_file("eosvos", "targets.npz")
def test_targets(oracle: OracleFile) -> None:
    for key in oracle.keys("label_"):
        number = key.removeprefix("label_")
        target = make_target(oracle.tensor(key).to(torch.int64))
        oracle.compare(f"box_{number}", target["boxes"], relative=0)
        oracle.compare(f"mask_{number}", target["masks"], relative=0)
        oracle.compare(f"class_{number}", target["labels"], relative=0)


@each_file("eosvos", "lovasz.npz")
def test_lovasz_hinge(oracle: OracleFile) -> None:
    logits, targets = oracle.tensor("logits").requires_grad_(), oracle.tensor("targets")
    losses = lovasz_hinge_per_region(logits, targets)
    loss = losses.mean()
    oracle.compare("loss_per_roi", losses, relative=1e-5)
    oracle.compare("loss", loss, relative=1e-5)
    oracle.compare("loss_fp64", loss, relative=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    errors = (1 - logits.detach() * (2 * targets - 1)).where(targets <= 1, torch.nan)
    alone = _untied(errors)
    expected = oracle.tensor("grad")
    oracle.compare_values(
        "grad", gradient.where(alone, 0), expected.where(alone, 0), relative=0, absolute=1e-6
    )
    oracle.compare("loss_first4", losses[:4].mean(), relative=1e-5)
    cross_entropy = cross_entropy_per_region(logits[:3], targets[:3]).mean()
    oracle.compare("bce_loss_first3", cross_entropy, relative=1e-5)
    oracle.ignore("grad_fp64")


def _untied(errors: Tensor) -> Tensor:
    """Where no other error of the same region is equal; ignored pixels count as alone."""
    flat = errors.flatten(start_dim=1)
    alone = torch.ones_like(flat, dtype=torch.bool)
    for row, single in zip(flat, alone, strict=True):
        _, inverse, counts = row.unique(return_inverse=True, return_counts=True)
        single.copy_((counts[inverse] == 1) | row.isnan())
    return alone.view_as(errors)


@each_file("eosvos", "losses.npz")
def test_losses(oracle: OracleFile) -> None:
    config = config_of(json.loads(str(oracle.array("settings"))))
    labels = oracle.tensor("label")[:, 0].to(torch.int64)
    for prefix, kind in (("LOVASZ", "lovasz_hinge"), ("BCE", "bce")):
        network = network_of(replace(config, mask_loss=kind))  # type: ignore[arg-type]
        batch = network.prepare(
            list(oracle.tensor("image")), [make_target(label) for label in labels]
        )
        losses = network.losses(batch)
        for name, loss in losses.items():
            oracle.compare(f"{prefix}_{name}", loss, relative=2e-5)
            oracle.compare(f"{prefix}_{name}_fp64", loss, relative=2e-5)
        if kind == "lovasz_hinge":
            _compare_stages(oracle, network, losses["total"])


def _compare_stages(oracle: OracleFile, network: ObjectNetwork, total: Tensor) -> None:
    parameters = network.published_parameters()
    assert list(parameters) == oracle.array("grad_names").tolist()
    norms = [g.norm() for g in torch.autograd.grad(total, list(parameters.values()))]
    _compare_large(oracle, "grad_norms", torch.stack(norms), least=1e-6)
    _compare_large(oracle, "grad_norms_fp64", torch.stack(norms), least=1e-6)
    labels = oracle.tensor("label")[:, 0].to(torch.int64)
    batch = network.prepare(list(oracle.tensor("image")), [make_target(label) for label in labels])
    oracle.compare("image_sizes", batch.sizes, relative=0)
    oracle.compare("padded", batch.frames.shape[-2:], relative=0)
    images = ImageList(batch.frames, list(batch.sizes))
    with torch.no_grad():
        features = network.backbone(batch.frames)
        proposals = network.rpn.propose(images, features).proposals
        samples = network.roi_heads.sample(proposals, batch.targets)
    for image, target in enumerate(batch.targets):
        oracle.compare(f"rpn_proposals_{image}", proposals[image], relative=0, absolute=1e-3)
        oracle.compare(f"roi_labels_{image}", samples[image].labels, relative=0)
        oracle.compare(f"target_boxes_resized_{image}", target["boxes"], relative=0, absolute=1e-4)
    given = [oracle.tensor(f"heads_proposals_{image}") for image in range(len(batch))]
    samples = network.roi_heads.sample(given, batch.targets)
    with torch.no_grad():
        losses = network.roi_heads.losses(
            features,
            samples,
            list(batch.sizes),
            batch.targets,
            regions=sum(len(s.labels) for s in samples),
            positives=sum(int(s.labels.sum()) for s in samples),
        )
    for name, loss in losses.items():
        oracle.compare(f"heads_{name}", loss, relative=2e-5)
        oracle.compare(f"heads_{name}_fp64", loss, relative=2e-5)
    for image, sample in enumerate(samples):
        oracle.compare(f"heads_roi_labels_{image}", sample.labels, relative=0)
        oracle.compare(f"heads_reg_targets_{image}", sample.deltas, relative=1e-5)


def _compare_large(
    oracle: OracleFile,
    key: str,
    found: Tensor,
    *,
    least: float,
    relative: float = GRADIENT_NORMS,
    own: float = 0.0,
) -> None:
    """Relative deviation of every value that exceeds a part of the largest.

    Args:
        oracle, key, found: what is compared.
        least: smaller parts of the largest value are passed over.
        relative: tolerance of each value.
        own: how far the file's own values are off, as a part of the largest.
    """
    expected, found_values = as_float64(oracle.array(key)), as_float64(found)
    oracle.require_same_shape(key, found_values.shape, expected.shape)
    largest = np.abs(expected).max()
    large = np.abs(expected) > least * largest
    allowed = relative * np.abs(expected[large]) + own * largest
    deviation = np.abs(found_values[large] - expected[large]) / allowed
    oracle.compare_values(key, deviation, np.zeros_like(deviation), absolute=1.0)


@each_file("eosvos", "inner_sgd.npz")
def test_inner_steps_and_outer_gradient(
    oracle: OracleFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision: gradients of the first layers cross ReLU kinks by rounding in single."""
    network = network_of(config_of(json.loads(str(oracle.array("settings")))))
    learned = learned_of(network, str(oracle.array("lr_rules"))).double()
    network.double()
    names = oracle.array("names").tolist()
    assert names == list(learned.names)
    memory, query = (
        network.prepare(
            [oracle.tensor(f"{part}_image").double()],
            [make_target(oracle.tensor(f"{part}_label")[0].to(torch.int64))],
        )
        for part in ("train", "test")
    )
    steps = len(oracle.array("train_losses"))
    config = InnerLoopConfig(inner_steps=steps, segment=steps)
    start = {name: p.detach().clone() for name, p in network.published_parameters().items()}
    losses: list[dict[str, float]] = []

    def noting_gradients(*args: Any) -> tuple[dict[str, float], list[Tensor]]:
        found = gradients_of(*args)
        if len(losses) in range(1, steps + 1):
            _compare_weights(oracle, network, start, step=len(losses))
        losses.append(found[0])
        return found

    monkeypatch.setattr(outer_gradient, "gradients_of", noting_gradients)
    found = outer_gradient.first_order(learned, network, [memory], query, config, seed=0)
    order = ("classifier", "box_reg", "mask", "objectness", "rpn_box_reg")
    table = [[row["total"], *(row[f"loss_{name}"] for name in order)] for row in losses[:steps]]
    _compare_both(oracle, "train_losses", table, relative=2e-5)
    _compare_both(oracle, "meta_loss", found.loss, relative=2e-5)
    for kind, gradients in (("init", found.start), ("lr", found.rates)):
        norms = torch.stack([g.norm() for g in gradients])
        _compare_both(oracle, f"meta_grad_{kind}_norm", norms, least=1e-4, relative=5e-3)
        by_name = dict(zip(names, gradients, strict=True))
        for key in oracle.keys(f"meta_grad_{kind}/"):
            if "@" not in key:
                own = by_name[key.split("/")[1]].flatten()[: len(oracle.array(key))]
                _compare_both(oracle, key, own, relative=2e-3)
    sums = torch.stack([g.sum() for g in found.rates])
    _compare_both(oracle, "meta_grad_lr_sum", sums, least=1e-4, relative=5e-3)
    oracle.ignore("base_lr")


def _compare_weights(
    oracle: OracleFile, network: ObjectNetwork, start: dict[str, Tensor], step: int
) -> None:
    if f"param_norm_step{step}" not in oracle:
        return
    now = {name: p.detach() for name, p in network.published_parameters().items()}
    norms = torch.stack([p.norm() for p in now.values()])
    _compare_both(oracle, f"param_norm_step{step}", norms, least=0, relative=1e-6)
    moved = {name: p - start[name] for name, p in now.items()}
    lengths = torch.stack([delta.norm() for delta in moved.values()])
    _compare_both(oracle, f"delta_norm_step{step}", lengths, least=1e-4, relative=1e-2)
    for key in oracle.keys(f"delta_step{step}/"):
        if "@" not in key:
            name = key.split("/")[1]
            own = moved[name].flatten()[: len(oracle.array(key))]
            rounding = 2.4e-7 * float(start[name].abs().max())
            _compare_both(oracle, key, own, relative=2e-3, absolute=rounding)


def _compare_both(
    oracle: OracleFile,
    key: str,
    found: Any,
    *,
    relative: float,
    least: float | None = None,
    absolute: float = 0.0,
) -> None:
    """Compare with the single and the double precision array; the former is less exact itself."""
    deviation = f"{key}@fp64_maxdiff_over_max"
    own = float(oracle.array(deviation)) if deviation in oracle else 0.0
    for name, allowed in ((key, max(relative, 2 * own)), (f"{key}@fp64", relative)):
        if name not in oracle:
            continue
        if least is None:
            oracle.compare(name, found, relative=allowed, absolute=absolute)
        else:
            exact = name.endswith("@fp64")
            _compare_large(
                oracle, name, found, least=least, relative=relative, own=0.0 if exact else own
            )


@each_file("eosvos", "radam.npz")
def test_outer_optimiser(oracle: OracleFile) -> None:
    theta, rates = (torch.nn.Parameter(oracle.tensor(f"{name}_start")) for name in ("theta", "lr"))
    settings = zip(
        (theta, rates), oracle.array("outer_lr"), oracle.array("weight_decay"), strict=True
    )
    optimiser = torch.optim.RAdam(
        [{"params": [p], "lr": float(lr), "weight_decay": float(wd)} for p, lr, wd in settings],
        decoupled_weight_decay=True,
    )
    learned = LearnedStart({"weight": rates.detach()})
    learned.register_parameter("log_init_lr_weight", rates)
    steps = zip(oracle.tensor("theta_grads"), oracle.tensor("lr_grads"), strict=True)
    thetas, all_rates = [], []
    for theta.grad, rates.grad in steps:
        optimiser.step()
        clamp_rates(learned)
        thetas.append(theta.detach().clone())
        all_rates.append(rates.detach().clone())
    oracle.compare("theta_traj", torch.stack(thetas), relative=1e-6, absolute=1e-9)
    oracle.compare("lr_traj", torch.stack(all_rates), relative=1e-6, absolute=1e-9)


@each_file("eosvos", "box_propagation.npz")
def test_box_propagation(oracle: OracleFile) -> None:
    height, width = (int(side) for side in oracle.array("padded"))
    padded = (height, width)
    boxes = oracle.tensor("boxes")

    def seeded(key: str) -> torch.Generator:
        return torch.Generator().manual_seed(int(oracle.array(key)))

    found = []
    copies = oracle.array("jittered").shape[1]
    for box, seed in zip(boxes, oracle.array("seeds").tolist(), strict=True):
        generator = torch.Generator().manual_seed(seed)
        found.append(jittered_boxes(box[None], copies, padded, generator))
    oracle.compare("jittered", torch.stack(found), relative=0, absolute=1e-4)
    both = oracle.array("two_box_jittered")
    two = jittered_boxes(boxes[:2], len(both) // 2, padded, seeded("two_box_seed"))
    oracle.compare("two_box_jittered", two, relative=0, absolute=1e-4)
    replaced = propagate(
        torch.zeros(0, 4),
        boxes[0],
        mode="replace",
        limit=len(oracle.array("replace_boxes")),
        padded_size=padded,
        generator=seeded("replace_seed"),
    )
    oracle.compare("replace_boxes", replaced, relative=0, absolute=1e-4)


@each_file("eosvos", "inference.npz")
def test_inference(oracle: OracleFile) -> None:
    settings = json.loads(str(oracle.array("settings")))
    network = network_of(config_of(settings, others=("score_thresh",))).eval()
    frame, previous = oracle.tensor("image"), oracle.tensor("prev_mask")[0]
    box = make_target(previous.to(torch.int64))["boxes"][0]
    modes = {"prop": "extend", "replace": "replace"}
    for case, threshold in settings["score_thresh"].items():
        network.roi_heads.score_thresh = threshold
        network.config = replace(network.config, score_threshold=threshold)
        mode = modes.get(case, "off")

        def seeded() -> torch.Generator:
            return torch.Generator().manual_seed(int(oracle.array("seed")))

        found = network.detect(frame, box, propagation=mode, generator=seeded())  # type: ignore[arg-type]
        oracle.compare(f"{case}_prob", found.probs, relative=0, absolute=1e-4)
        oracle.compare(f"{case}_box", found.box, relative=0, absolute=1e-3)
        with torch.no_grad():
            images, _ = network.transform([frame])
            features = network.backbone(images.tensors)
            proposals = network.proposals(
                images,
                features,
                (frame.shape[-2], frame.shape[-1]),
                box,
                propagation=mode,  # type: ignore[arg-type]
                generator=seeded(),
            )
            heads = network.roi_heads
            pooled = heads.box_head(heads.box_roi_pool(features, [proposals], images.image_sizes))
            scores = heads.box_predictor(pooled)[0].softmax(dim=1)[:, 1]
            detections, _ = heads(features, [proposals], images.image_sizes)
        oracle.compare(f"{case}_proposals", proposals, relative=0, absolute=1e-3)
        oracle.compare(f"{case}_scores", scores, relative=0, absolute=1e-5)
        oracle.compare(f"{case}_det_box_resized", detections[0]["boxes"], relative=0, absolute=1e-3)
        oracle.compare(f"{case}_det_score", detections[0]["scores"], relative=0, absolute=1e-5)
        oracle.ignore(f"{case}_prob_fp64")
        oracle.ignore(f"{case}_box_fp64")


@each_file("eosvos", "paste.npz")
def test_pasting(oracle: OracleFile) -> None:
    size = tuple(int(side) for side in oracle.array("image_size"))
    found = paste_masks_in_image(oracle.tensor("masks"), oracle.tensor("boxes"), size)
    oracle.compare("pasted", found, relative=0, absolute=1e-6)


@each_file("eosvos", "merge.npz")
def test_merging(oracle: OracleFile) -> None:
    maps = oracle.tensor("probs")
    oracle.compare("labels", torch.stack([merged_slots(frame) for frame in maps]), relative=0)
    for frame, expected in zip(maps, oracle.array("labels"), strict=True):
        probs = normalised(frame)
        painted = torch.cat([1 - probs.sum(dim=0, keepdim=True), probs]).argmax(dim=0)
        oracle.compare_values("painted", painted, expected, relative=0)


@each_file("eosvos", "augment.npz")
def test_augmentation(oracle: OracleFile) -> None:
    image = oracle.tensor("image").permute(2, 0, 1)
    label = oracle.tensor("label").to(torch.int64)
    top = float(image.max())
    scale = 255 if top > 2 else 1
    for key in oracle.keys("rot_scale_"):
        number = key.removeprefix("rot_scale_")
        warp = Warp(*oracle.array(key).tolist())
        found = warp_frame(image / scale, warp).permute(1, 2, 0) * scale
        expected = oracle.tensor(f"image_{number}")
        inside = (slice(3, -3), slice(3, -3))
        difference = (found - expected)[inside].abs()
        quantile = torch.quantile(difference.flatten(), 0.99)
        oracle.compare_values(f"image_{number}", quantile, 0.0, absolute=2 * scale / 255)
        labels = warp_label_map(label, warp)
        oracle.compare_labels(f"label_{number}", labels, pixels=0.005 * labels.numel())
    generator = torch.Generator().manual_seed(0)
    warps = [draw_warp(generator) for _ in range(2000)]
    draws = torch.tensor([[warp.degrees, warp.scale] for warp in warps])
    found = torch.stack([draws.amin(dim=0), draws.amax(dim=0), draws.mean(dim=0)])
    spread = torch.tensor([[0.3, 0.003], [0.3, 0.003], [1.2, 0.01]])  # three standard errors
    ratio = (found - oracle.tensor("draws_min_max_mean")) / spread
    oracle.compare_values("draws", ratio, np.zeros((3, 2)), relative=0, absolute=1)


@each_file("eosvos", "schedule.json")
def test_schedule(oracle: OracleFile) -> None:
    for case in json.loads(oracle.path.read_text()):
        model = follow_schedule(case)
        assert model.training_calls == case["training_calls"]
        assert model.inference_calls == case["inference_calls"]
        oracle.record("schedule", 0)


RUN_SETTINGS = (
    "initial_iterations",
    "ona_iterations",
    "ona_step",
    "train_batch",
    "spatial_augment",
    "reset_model_mode",
    "propagation",
    "score_thresh",
    "lr",
    "weights",
)


@each_file("eosvos", "sequence.npz")
def test_whole_sequence(oracle: OracleFile, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = json.loads(str(oracle.array("settings")))
    config = EOSVOSConfig(
        network=replace(
            config_of(settings, others=RUN_SETTINGS), score_threshold=settings["score_thresh"]
        ),
        inner_steps=settings["initial_iterations"],
        inner_batch=settings["train_batch"],
        spatial_augmentation=settings["spatial_augment"],
        online_adaptation=settings["ona_step"] > 0,
        adaptation_interval=settings["ona_step"] or 1,
        adaptation_steps=settings["ona_iterations"],
        adaptation_reset=RESETS[settings["reset_model_mode"]],
        propagation={None: "off", "EXTEND": "extend", "REPLACE": "replace"}[
            settings["propagation"]
        ],
    )
    model = RecordingModel(
        config, learned_of(network_of(config.network)), device=torch.device("cpu")
    )
    segmenter = EOSVOSSegmenter(config, model, torch.device("cpu"))
    frames = oracle.tensor("images_uint8").permute(0, 3, 1, 2).float() / 255
    model.frames = list(frames)
    given = oracle.tensor("gt_labels")
    count = len(oracle.array("probs"))
    losses: list[float] = []
    monkeypatch.setattr(object_model, "fine_tune", _noting_losses(losses))
    labels, probs, by_object = [], [], {n: [] for n in range(1, count + 1)}
    state = segmenter.start()
    for index in range(len(frames)):
        prompts = {n: given[0] == n for n in by_object} if index == 0 else {}
        done = len(losses)
        state, found = segmenter.step(state, frames[index], prompts)
        for new, n in zip(np.array_split(losses[done:], count), by_object, strict=True):
            by_object[n] += new.tolist()
        labels.append(found.label_map())
        if index:
            probs.append(torch.stack([o.map for o in state.objects.values()]))
    batches = [batch for n in by_object for batch in model.batches[n]]
    assert batches == json.loads(str(oracle.array("training_batches")))
    oracle.compare("train_loss", [x for n in by_object for x in by_object[n]], relative=1e-3)
    oracle.compare("probs", torch.stack(probs, dim=1), relative=0, absolute=1e-3)
    boxes = torch.stack(model.boxes).unflatten(0, (-1, count)).transpose(0, 1)
    oracle.compare("boxes", boxes, relative=0, absolute=0.05)
    expected = oracle.array("result_labels")
    oracle.compare_labels("result_labels", torch.stack(labels), pixels=0.001 * expected.size)
    eval_frames = oracle.array("eval_frames")
    oracle.compare_values(
        "eval_frames", np.tile(np.arange(1, len(frames)), (count, 1)), eval_frames, relative=0
    )
    for name in ("prob", "box", "loss"):
        oracle.ignore(f"{name}_maxdiff")


def _noting_losses(losses: list[float]) -> Callable[..., Any]:
    def noting(*args: Any, **named: Any) -> list[dict[str, float]]:
        found = fine_tune(*args, **named)
        losses.extend(step["total"] for step in found)
        return found

    return noting


@pytest.mark.skipif(not ORACLE.is_dir(), reason="the oracle is not here")
@pytest.mark.parametrize(
    ("section", "level", "norm"),
    [
        ("meta_neuron", "neuron", "group"),
        ("meta_tensor", "tensor", "group"),
        ("meta_single", "single", "group"),
        ("meta_neuron_frozenbn", "neuron", "frozen_bn"),
    ],
)
def test_keys_of_published_files(section: str, level: RateLevel, norm: NormName) -> None:
    with torch.device("meta"):
        network = ObjectNetwork(MaskRCNNConfig(norm=norm))
        learned = LearnedStart(network.published_parameters(), level=level)
    manifest = json.loads((ORACLE / "eosvos" / "manifest.json").read_text())
    expected = {key: tuple(entry["shape"]) for key, entry in manifest[section]["entries"].items()}
    found = {key: tuple(value.shape) for key, value in learned.state_dict().items()}
    assert list(found) == list(expected)
    assert found == expected


if claimed_files("eosvos").get("container_*"):  # else pytest would report an empty test as skipped

    @each_file("eosvos", "container_*")
    def test_container(oracle: OracleFile) -> None:
        """Whatever it holds, it is read as θ_g or refused, and nothing in it runs."""
        oracle.ignore("")
        if oracle.path.suffix != ".npz":
            content = read_inertly(oracle, read_published)
            assert content is None or content[1], f"{oracle.name} was read and holds nothing"
        oracle.record("read or refused", 0.0)
