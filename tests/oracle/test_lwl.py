"""LWL against the published implementation; tolerances are those of ``oracle/lwl/README.md``."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from maskcast.core.boxes import published_box
from maskcast.core.errors import WeightsError
from maskcast.core.types import Box, ObjectMasks, Prompts
from maskcast.io.weights.checkpoints import read_foreign_checkpoint
from maskcast.methods.lwl.aggregation import aggregate_logits
from maskcast.methods.lwl.config import CropConfig
from maskcast.methods.lwl.crop import (
    Sighting,
    View,
    cut_image,
    cut_mask,
    find,
    first_patch,
    first_view,
    follow,
    paste,
    patch_at,
)
from maskcast.methods.lwl.few_shot_learner import Samples, descend, few_shot_loss
from maskcast.methods.lwl.label_encoder import STRIDE
from maskcast.methods.lwl.memory import Memory, SampleBuffers, Slot
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import boxinit, ytvos
from maskcast.methods.lwl.published import from_published, published_key
from maskcast.methods.lwl.segmenter import LWLSegmenter
from maskcast.methods.lwl.target_model import apply_target_model
from maskcast.methods.lwl.training.batched_correlation import BATCHED, samples_of_frames
from maskcast.methods.lwl.training.boxes import segment_boxes
from maskcast.methods.lwl.training.crops import training_crop
from maskcast.nn.lovasz import lovasz_loss
from maskcast.nn.resnet import Taps
from methods.lwl.mini_sequence import segment_queries
from oracle.containers import (
    compare_parameters,
    expected_parameters,
    may_be_refused,
    parameters,
    read_inertly,
)
from oracle.lwl_networks import frames_of, oracle_network, oracle_tensors
from oracle.plumbing import OracleFile, check_folder, each_file, numbered


def test_the_folder_holds_what_is_known() -> None:
    check_folder("lwl")


@each_file("lwl", "backbone*")
def test_backbone(oracle: OracleFile) -> None:
    imagenet = "imagenet" in oracle.name
    network = oracle_network("imagenet" if imagenet else "mask")
    image = oracle.tensor("in/image")
    prepared = network.prepare(frames_of(oracle.tensor("in/image_rgb")))
    stem_scale = 70 if imagenet else 1  # the oracle's stem expects inputs of that size
    oracle.compare_values("prepare", prepared * stem_scale, image)
    taps = network.trunk(image)._asdict()
    for name, tap in taps.items():
        step = stored_step(tap.shape[-2:], oracle.array(f"out/{name}").shape[-2:])
        oracle.compare(f"out/{name}", tap[0, :, ::step, ::step])
        if f"out/{name}_chmean" in oracle:
            oracle.compare(f"out/{name}_chmean", tap[0].mean(dim=(1, 2)))
            oracle.compare(f"out/{name}_chstd", tap[0].std(dim=(1, 2), correction=0))


def stored_step(full: tuple[int, ...], stored: tuple[int, ...]) -> int:
    """Of large maps only every n-th row and column is stored; return n, at most 4."""
    return next(
        (n for n in (1, 2, 4) if stored == tuple(-(-length // n) for length in full)),
        1,
    )


@each_file("lwl", "target_features*")
def test_target_features(oracle: OracleFile) -> None:
    x = oracle_network("mask").features(oracle.tensor("in/layer3"))
    oracle.compare("out/x", x)


@each_file("lwl", "label_encoder*")
def test_label_encoder(oracle: OracleFile) -> None:
    for key in oracle.keys("in/masks"):
        suffix = key.removeprefix("in/masks")
        found = oracle_network("mask").label_encoder(oracle.tensor(key).flatten(0, 1))
        oracle.compare(f"out/label{suffix}", found.label[:, None])
        oracle.compare(f"out/weight{suffix}", found.weight[:, None])


@each_file("lwl", "learner_*")
def test_learner(oracle: OracleFile) -> None:
    x, label, weight = (oracle.tensor(f"in/{name}") for name in ("x", "label", "weight"))
    gamma, kappa = oracle.tensor("in/gamma"), oracle.tensor("in/kappa").view(1)
    samples = samples_of_frames(x, label, weight * gamma.view(-1, 1, 1, 1, 1))
    stored = numbered(oracle.keys(), "out/filter_")
    steps = max([*stored, len(oracle.array("out/objective")) - 1])
    if "in/filter_init" in oracle:
        tau = oracle.tensor("in/filter_init")
    else:
        kernel = oracle.array(f"out/filter_{stored[0]}").shape[-1]
        tau = torch.zeros(x.shape[1], label.shape[2], x.shape[2], kernel, kernel)
    iterates = list(descend(tau, samples, kappa, steps, BATCHED))
    for step in stored:
        oracle.compare(f"out/filter_{step}", iterates[step].tau)
    losses = [
        few_shot_loss(i.tau.double(), _double(samples), kappa.double(), BATCHED) for i in iterates
    ]
    oracle.compare("out/objective", torch.stack(losses).sum(dim=1))
    oracle.compare("out/filter_norms", torch.stack([i.tau.norm() for i in iterates]))
    oracle.compare("out/scores_last", iterates[-1].scores.permute(1, 0, 4, 2, 3))


def _double(samples: Samples) -> Samples:
    return Samples(samples.x.double(), samples.e.double(), samples.v.double())


@each_file("lwl", "decoder*")
def test_decoder(oracle: OracleFile) -> None:
    taps = Taps(*(oracle.tensor(f"in/layer{level}") for level in (1, 2, 3, 4)))
    decoder = oracle_network("mask").decoder
    for j, encoding in enumerate(oracle.tensor("in/encoding")):
        size = oracle.array(f"out/logits_{j}").shape[-2:]
        oracle.compare(f"out/logits_{j}", decoder(encoding, taps, size)[:, None])
        _, states = decoder.decode(encoding, taps, size)
        for level, state in zip((4, 3, 2, 1), states, strict=True):
            if level == 1:
                oracle.compare(f"out/layer1_dec_ds2_{j}", state[..., ::2, ::2])
            else:
                oracle.compare(f"out/layer{level}_dec_{j}", state)


@each_file("lwl", "box_encoder*")
def test_box_encoder(oracle: OracleFile) -> None:
    network = oracle_network("boxinit")
    images = network.prepare(frames_of(oracle.tensor("in/image_rgb")))
    box = oracle.tensor("in/box")
    features = network.extract(images)
    size = (images.shape[-2], images.shape[-1])
    assert network.box_encoder is not None
    oracle.compare("out/encoding", network.box_encoder(box, features.x, size)[:, None])
    logits = segment_boxes(network, images, box)
    oracle.compare("out/logits", logits[:, None])
    oracle.compare("out/prob", logits.sigmoid()[:, None])
    oracle.compare("out/x_chmean", features.x[0].mean(dim=(1, 2)))


@each_file("lwl", "lovasz*")
def test_lovasz(oracle: OracleFile) -> None:
    labels = {"mixed": oracle.tensor("in/labels")}
    labels["empty"] = torch.zeros_like(labels["mixed"])
    labels["full"] = torch.ones_like(labels["mixed"])
    for name in (key.removeprefix("out/loss_") for key in oracle.keys("out/loss_")):
        logits = oracle.tensor("in/logits").requires_grad_()
        loss = lovasz_loss(logits, labels[name])
        loss.backward()
        oracle.compare(f"out/loss_{name}", loss)
        assert logits.grad is not None
        oracle.compare(f"out/grad_{name}", logits.grad, relative=1e-2)


@each_file("lwl", "train_crop*")
def test_training_crop(oracle: OracleFile) -> None:
    image = oracle.tensor("in/image").movedim(-1, 0)
    width, height = (int(side) for side in oracle.array("in/output_wh"))
    mask, target = oracle.tensor("in/mask"), Box(*oracle.array("in/gt_box").tolist())
    for i, box in enumerate(oracle.array("in/boxes").tolist()):
        crop = training_crop(image, mask, Box(*box), target=target, size=(height, width))
        oracle.compare(f"out/image_{i}", crop.image.movedim(0, -1), relative=0, absolute=1)
        oracle.compare(f"out/mask_{i}", crop.mask, relative=0)
        found = torch.tensor(dataclasses.astuple(crop.target))
        oracle.compare(f"out/box_{i}", found, relative=0, absolute=1e-4)
        oracle.compare(f"out/crop_coord_{i}", torch.tensor(crop.area), relative=0)


@each_file("lwl", "patch*")
def test_patch(oracle: OracleFile) -> None:
    oracle.ignore("out/modern")
    image = oracle.tensor("in/image").movedim(-1, 0).float()
    mask = oracle.tensor("in/mask").float()
    for i, case in enumerate(oracle.array("in/cases").tolist()):
        row, column, height, width, crop_height, crop_width, inside = case
        patch = patch_at(
            (image.shape[1], image.shape[2]),
            (row, column),
            (height, width),
            (int(crop_height), int(crop_width)),
            inside=bool(inside),
        )
        oracle.compare(f"out/legacy_coord_{i}", np.array(patch.extent).flatten(), relative=0)
        oracle.compare(f"out/legacy_image_{i}", cut_image(image, patch))
        oracle.compare(f"out/legacy_mask_{i}", cut_mask(mask, patch), relative=0)


@each_file("lwl", "first_crop*")
def test_first_crop(oracle: OracleFile) -> None:
    image = oracle.tensor("in/image").movedim(-1, 0).float()
    height, width = oracle.array("in/crop_size").tolist()
    config = CropConfig(size=(height, width))
    for i, box in enumerate(oracle.array("in/boxes").tolist()):
        view = first_view(Box(*box), config)
        oracle.compare(f"out/scale_{i}", view.scale)
        oracle.compare(f"out/pos_{i}", torch.tensor(view.position))
        patch = first_patch(view, (image.shape[1], image.shape[2]), config)
        oracle.compare(f"out/image_{i}", cut_image(image, patch))
        mask = cut_mask(oracle.tensor("in/mask").float(), patch)
        oracle.compare(f"out/mask_{i}", mask, relative=0)


@each_file("lwl", "memory*")
def test_memory(oracle: OracleFile) -> None:
    nothing = torch.zeros(1, 1, 1)
    for key in oracle.keys("out/"):
        if not key.endswith("_weights"):
            continue
        name = key.removeprefix("out/").removesuffix("_weights")
        insertions, size = oracle.array(key).shape
        settings = boxinit() if "box" in name else ytvos()
        config = replace(settings.memory, size=size)
        memory = Memory.of_first(Slot(nothing, nothing, nothing))
        weights, slots = [], []
        for _ in range(insertions):
            memory = memory.insert(Slot(nothing, nothing, nothing), config)
            weights.append(memory.gammas + (0.0,) * (size - len(memory.gammas)))
            slots.append(memory.newest)
        oracle.compare(key, np.array(weights))
        oracle.compare(f"out/{name}_slots", np.array(slots), relative=0)


@each_file("lwl", "paste_state_merge*")
def test_paste_state_merge(oracle: OracleFile) -> None:
    oracle.ignore("out/modern")
    height, width = oracle.array("in/image_size").tolist()
    crop_logits, coords = oracle.tensor("in/crop_logits"), oracle.array("in/coords").tolist()
    pasted = []
    for i, (logits, (top, left, bottom, right)) in enumerate(
        zip(crop_logits[:, 0], coords, strict=True)
    ):
        extent = (top, left), (bottom, right)
        pasted.append(paste(logits, extent, (height, width)))
        oracle.compare(f"out/legacy_pasted_{i}", pasted[-1])
        crop_size = (logits.shape[0], logits.shape[1])
        sides = [(b - a) / o for a, b, o in zip(*extent, crop_size, strict=True)]
        oracle.compare(f"out/legacy_scale_{i}", np.sqrt(np.prod(sides)))
    given = torch.where(oracle.tensor("in/new_mask") > 0, 100.0, -100.0)
    ids = tuple(oracle.array("in/ids").tolist())
    kept = len(ids) - 1
    merged = aggregate_logits(torch.stack([*pasted[:kept], given]))[1:]
    oracle.compare("out/merged_prob", merged)
    oracle.compare_labels(
        "out/merged_label", ObjectMasks(ids, merged).label_map(), pixels=0.001 * height * width
    )
    single = aggregate_logits(pasted[0][None])[1]
    oracle.compare("out/merged_single", single)
    seen = find(merged, minimum_mass=ytvos().crop.minimum_mass)
    row, column, tall, wide = oracle.array("in/state_prior").tolist()
    prior = View((row, column), 1.0, (tall, wide))
    states = [one or Sighting(prior.position, prior.size) for one in seen]
    oracle.compare("out/state", np.array([[*one.position, *one.size] for one in states]))
    oracle.compare("out/merged_boxes", np.array([reported_box(one) for one in states]))
    (vanished,) = find(torch.zeros(1, height, width), minimum_mass=1.0)
    resting = follow(prior, vanished, ytvos().crop)
    oracle.compare("out/state_vanished", np.array([*resting.position, *resting.size]))


def reported_box(seen: Sighting) -> list[float]:
    """x, y, width and height as the published tracker reports them."""
    (row, column), (height, width) = seen.position, seen.size
    return [column - (width - 1) / 2, row - (height - 1) / 2, width, height]


@each_file("lwl", "net_e2e*")
def test_network_end_to_end(oracle: OracleFile) -> None:
    """The frame is the crop; one memory per object; the merged maps are the pseudo-masks."""
    config, network = ytvos(), oracle_network("mask")
    images = network.prepare(frames_of(oracle.tensor("in/frames")))
    first_mask = oracle.tensor("in/first_mask")
    ids = [object_id for object_id in first_mask.unique().tolist() if object_id]
    probs = torch.stack([first_mask == object_id for object_id in ids]).float()
    size = (images.shape[-2], images.shape[-1])
    capacity = oracle.array("out/sample_weights").shape[-1]
    memories: list[Memory] = []
    taus = [network.no_filters(1, images) for _ in ids]
    results: dict[str, list[Tensor]] = {"logits": [], "prob": [], "label": [], "filter_norm": []}
    weights = []
    buffers = SampleBuffers(config.memory)
    features = network.extract(images[:1])
    for frame in range(len(images)):
        if frame != 1:  # what frame 1 showed is remembered before frame 2 is segmented
            slots = [slot_of(network, features.x, mask) for mask in probs]
            if frame == 0:
                memories = [Memory.of_first(slot) for slot in slots]
            else:
                memories = [
                    memory.insert(slot, config.memory)
                    for memory, slot in zip(memories, slots, strict=True)
                ]
            steps = config.learner.update_steps if frame else config.learner.initial_steps
            taus = [
                network.learner(tau, buffers.samples(i, memory), steps)
                for i, (tau, memory) in enumerate(zip(taus, memories, strict=True))
            ]
        if frame == 0:
            continue
        features = network.extract(images[frame : frame + 1])
        scores = apply_target_model(torch.cat(taus), features.x.expand(len(ids), -1, -1, -1)[None])
        logits = network.decoder(scores[0], features.taps, size)
        probs = aggregate_logits(logits)[1:]
        results["logits"].append(logits)
        results["prob"].append(probs)
        results["label"].append(ObjectMasks(tuple(ids), probs).label_map())
        results["filter_norm"].append(torch.stack([tau.norm() for tau in taus]))
        weights.append([padded(memory.gammas, capacity) for memory in memories])
    for name in ("logits", "prob", "filter_norm"):
        oracle.compare(f"out/{name}", torch.stack(results[name]))
    labels = torch.stack(results["label"])
    oracle.compare_labels("out/label", labels, pixels=0.001 * labels.numel())
    expected = oracle.array("out/sample_weights")
    if (expected == expected[-1]).all():  # the file holds the last weights in every row
        weights = [weights[-1]] * len(weights)
    oracle.compare("out/sample_weights", np.array(weights))


def slot_of(network: LWLNetwork, x: Tensor, mask: Tensor) -> Slot:
    label, weight = network.label_encoder(mask[None])
    return Slot(*(part[0].movedim(0, -1).contiguous() for part in (x, label, weight)))


def padded(gammas: tuple[float, ...], length: int) -> list[float]:
    """The first ``length`` weights, as a file holds them: zero in empty slots."""
    return [*gammas, *[0.0] * length][:length]


@each_file("lwl", "tracker_*")
def test_tracker_from_masks(oracle: OracleFile) -> None:
    oracle.ignore("out/modern")
    config = ytvos()
    if (size := crop_size(oracle, config.crop)) != config.crop.size:
        slots = oracle.array("out/legacy_sample_weights").shape[-1]
        config = replace(
            config,
            crop=replace(config.crop, size=size),
            memory=replace(config.memory, size=slots),
        )
    prompts: dict[int, dict[int, Tensor]] = {}
    for frame in numbered(oracle.keys(), "in/mask_frame"):
        label_map = oracle.tensor(f"in/mask_frame{frame}")
        ids = [object_id for object_id in label_map.unique().tolist() if object_id]
        prompts[frame] = {object_id: label_map == object_id for object_id in ids}
    masks = dict(sorted(item for given in prompts.values() for item in given.items()))
    boxes = [dataclasses.astuple(published_box(mask.numpy())) for mask in masks.values()]
    oracle.compare("in/boxes", np.array(boxes), relative=0)
    compare_tracker(oracle, LWLSegmenter(own_network("mask"), config), prompts, pixels=0)


@each_file("lwl", "tracker_boxinit*")
def test_tracker_from_boxes(oracle: OracleFile) -> None:
    oracle.ignore("out/modern")
    config = boxinit()
    slots = oracle.array("out/legacy_sample_weights").shape[-1]
    config = replace(
        config,
        crop=replace(config.crop, size=crop_size(oracle, config.crop)),
        memory=replace(config.memory, size=slots),
        learner=replace(config.learner, update_every=2),
    )
    boxes = oracle.array("in/boxes").tolist()
    prompts = {0: {object_id: Box(*box) for object_id, box in enumerate(boxes, 1)}}
    compare_tracker(oracle, LWLSegmenter(own_network("boxinit"), config), prompts, pixels=30)


def crop_size(oracle: OracleFile, crop: CropConfig) -> tuple[int, int]:
    """Tell the size of the crop from the first scale: search area · √(box) / √(crop).

    Of all sizes with that area, in steps of the stride, the one whose shape is closest to the
    published crop's (480×832 in the full tracker; 128×224 and 96×160 in the small ones).
    """
    frames, objects = np.nonzero(~np.isnan(oracle.array("out/legacy_scale")))
    scale = float(oracle.array("out/legacy_scale")[frames[0], objects[0]])
    width, height = oracle.array("in/boxes")[objects[0], 2:]
    cells = round(crop.search_area**2 * width * height / scale**2 / STRIDE**2)
    sides = [n for n in range(1, isqrt(cells) + 1) if cells % n == 0]
    rows = min(sides, key=lambda n: abs(cells / n**2 - crop.size[1] / crop.size[0]))
    return STRIDE * rows, STRIDE * (cells // rows)


def own_network(kind: str) -> LWLNetwork:
    """A network that a segmenter may change."""
    return copy.deepcopy(oracle_network(kind))


def compare_tracker(
    oracle: OracleFile,
    segmenter: LWLSegmenter,
    prompts: Mapping[int, Prompts],
    *,
    pixels: float,
) -> None:
    """Run a video and compare everything that is known after each frame."""
    objects, height, width = oracle.array("out/legacy_prob_u16").shape[1:]
    weights = oracle.array("out/legacy_sample_weights").shape[-1]
    frames = frames_of(oracle.tensor("in/frames"))
    ids = sorted({object_id for given in prompts.values() for object_id in given})
    found: dict[str, list[Tensor]] = {
        name.removeprefix("out/legacy_"): [] for name in oracle.keys("out/legacy_")
    }
    state = segmenter.start()
    for t, frame in enumerate(frames):
        state, masks = segmenter.step(state, frame, prompts.get(t, {}))
        rows = {
            "prob_u16": torch.zeros(objects, height, width),
            "pos": torch.full((objects, 2), torch.nan),
            "scale": torch.full((objects,), torch.nan),
            "sample_weights": torch.full((objects, weights), torch.nan),
            "filter_norm": torch.full((objects,), torch.nan),
            "bbox": torch.full((objects, 4), torch.nan),
        }
        for target, probs in zip(state.targets, masks.probs, strict=True):
            slot = ids.index(target.object_id)
            seen = target.seen or Sighting(target.view.position, target.view.size)
            rows["prob_u16"][slot] = (probs * 65535).round()
            rows["pos"][slot] = torch.tensor(target.view.position)
            rows["scale"][slot] = target.view.scale
            rows["sample_weights"][slot] = torch.tensor(padded(target.memory.gammas, weights))
            rows["filter_norm"][slot] = target.tau.norm()
            rows["bbox"][slot] = torch.tensor(reported_box(seen))
        rows["label"] = masks.label_map()
        for name, values in found.items():
            values.append(rows[name])
    for name, values in found.items():
        if name != "label":
            oracle.compare(f"out/legacy_{name}", torch.stack(values))
    labels = torch.stack(found["label"])
    oracle.compare_labels("out/legacy_label", labels, pixels=0.001 * labels.numel() + pixels)


@each_file("lwl", "training*")
def test_training(oracle: OracleFile) -> None:
    images, masks = oracle.tensor("in/images"), oracle.tensor("in/masks")
    network = LWLNetwork(ytvos().network).train()
    network.load_state_dict(oracle_tensors("mask"))
    for part in (network.trunk.conv1, network.trunk.bn1, network.trunk.layer1):
        part.requires_grad_(False)
    for prefix, apply_updates in (("released", False), ("updated", True)):
        if f"out/{prefix}_logits" not in oracle:
            continue
        logits = segment_queries(network, images, masks, update_steps=2 if apply_updates else 0)
        oracle.compare(f"out/{prefix}_logits", logits)
        loss = 100 * lovasz_loss(logits, masks[1:])
        oracle.compare(f"out/{prefix}_loss", loss)
        smooth = (logits * oracle.tensor("in/smooth_coeff")).mean()
        for name, value in ((prefix, loss), (f"{prefix}_smooth", smooth)):
            compare_gradients(oracle, f"out/{name}_", network, value)


def compare_gradients(oracle: OracleFile, prefix: str, network: LWLNetwork, value: Tensor) -> None:
    """Compare norms, and some whole gradients, of ``value`` within 1 % (sorting, ReLUs at 0)."""
    parameters = {published_key(name): p for name, p in network.named_parameters()}
    names = [str(name) for name in oracle.array("in/grad_names")]
    gradients = torch.autograd.grad(
        value,
        [parameters[name] for name in names],
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    expected = oracle.array(f"{prefix}gradnorms")
    for name, gradient, norm in zip(names, gradients, expected, strict=True):
        oracle.compare_values(f"{prefix}gradnorms of {name}", gradient.norm(), norm, relative=0.01)
    for key in oracle.keys(f"{prefix}grad/"):
        gradient = gradients[names.index(key.removeprefix(f"{prefix}grad/"))]
        oracle.compare(key, gradient, relative=0.01)


@each_file("lwl", "container_*")
def test_container(oracle: OracleFile) -> None:
    if oracle.path.suffix == ".npz":  # what readable containers hold
        compare_with_its_containers(oracle)
        return
    checkpoint = read_inertly(oracle, read_foreign_checkpoint)
    if checkpoint is None:
        oracle.record("refused", 0.0)
        return
    found = parameters(checkpoint)
    if expected := expected_parameters(oracle, set(found)):
        compare_parameters(oracle, found, expected)
        with pytest.raises(WeightsError, match="missing"):  # a network is not filled with so few
            from_published(checkpoint)
    else:
        assert may_be_refused(oracle), f"{oracle.name}: nothing says what it should hold"
    oracle.record("read without harm", 0.0)


def compare_with_its_containers(oracle: OracleFile) -> None:
    """At least one container holds these parameters, and all that do hold the same values."""
    for path in sorted(oracle.path.parent.glob("container_*")):
        if path.suffix == ".npz":
            continue
        checkpoint = read_inertly(OracleFile(path), read_foreign_checkpoint)
        found = parameters(checkpoint or {})
        if set(found) == set(oracle.keys()):
            compare_parameters(oracle, found, oracle)
