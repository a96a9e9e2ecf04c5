"""A-GAME against the outputs of the published network (tolerances: the README of the oracle)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from maskcast.core.types import Prompts
from maskcast.io.weights.checkpoints import read_foreign_checkpoint
from maskcast.methods.agame.aggregation import aggregate_probs
from maskcast.methods.agame.appearance import AppearanceModel, Mixture, score
from maskcast.methods.agame.config import AgameConfig, AppearanceConfig
from maskcast.methods.agame.framing import Padding, two_channels
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.published import from_published, our_name, to_published
from maskcast.methods.agame.segmenter import AgameSegmenter, AgameState, Segmented
from maskcast.methods.agame.training.clip_loss import (
    clip_losses,
    coarse_log_probs,
    follow,
    given_log_probs,
    target_iou,
)
from oracle.containers import (
    compare_parameters,
    expected_parameters,
    may_be_refused,
    parameters,
    read_inertly,
)
from oracle.plumbing import (
    ORACLE,
    OracleFile,
    check_folder,
    each_file,
    numbered,
    oracle_weights,
)

FRAME_0 = 0.2
"""Tolerance of log-probabilities that come from clamping a given mask."""


def close(oracle: OracleFile, key: str, found: Tensor, *, relative: float = 1e-5) -> None:
    """Compare a forward tensor: relative L2 within 1e-5, each value within 1e-4 of the largest."""
    close_values(oracle, key, found, oracle.tensor(key), relative=relative)


def close_values(
    oracle: OracleFile, what: str, found: Tensor, expected: Tensor, *, relative: float = 1e-5
) -> None:
    oracle.require_same_shape(what, found.shape, expected.shape)
    found, expected = found.detach().double(), expected.double()
    difference = found - expected
    largest = max(1.0, float(expected.abs().max()))
    deviation = float(difference.norm() / expected.norm().clamp_min(1e-30)) / relative
    oracle.record(what, max(deviation, float(difference.abs().max()) / (10 * relative * largest)))


@cache
def weights() -> tuple[AgameConfig, dict[str, Tensor]]:
    return from_published(oracle_weights("agame"))


def network(config: AgameConfig | None = None) -> AgameNetwork:
    net = AgameNetwork(config or weights()[0])
    net.load_state_dict(weights()[1])
    return net


@cache
def evaluated() -> AgameNetwork:
    return network().eval().requires_grad_(False)


def segmenter(**settings: Any) -> AgameSegmenter:
    config = replace(weights()[0], entry_frame="predicted", **settings)
    return AgameSegmenter(config, network(config))


def test_the_folder_holds_what_is_known() -> None:
    check_folder("agame")


@pytest.mark.skipif(not ORACLE.is_dir(), reason="the oracle is not here")
def test_the_manifest_is_the_whole_network() -> None:
    published = oracle_weights("agame")
    back = to_published(weights()[1])
    assert back.keys() == published.keys()
    assert all(torch.equal(back[name], published[name]) for name in published)


@each_file("agame", "backbone*")
def test_trunk(oracle: OracleFile) -> None:
    resnet, image = evaluated().trunk.resnet, oracle.tensor("image")
    stem = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(image))))
    taps = evaluated().trunk(image)
    close(oracle, "maxpool", stem)
    close(oracle, "s4", taps.stride4)
    close(oracle, "s8", taps.stride8)
    close(oracle, "layer3", resnet.layer3(taps.stride8))
    close(oracle, "s16", taps.stride16)


@each_file("agame", "backbone_train*")
def test_trunk_in_training(oracle: OracleFile) -> None:
    trunk = network().trunk.train()
    taps = trunk(oracle.tensor("image"))
    close(oracle, "s16", taps.stride16)
    close(oracle, "s8_mean", taps.stride8.mean(dim=(2, 3)))
    _compare_statistics(oracle, trunk.resnet, prefix="")


def _compare_statistics(oracle: OracleFile, resnet: torch.nn.Module, *, prefix: str) -> None:
    for key in oracle.keys(f"{prefix}running_mean/"):
        name = key.removeprefix(f"{prefix}running_mean/")
        norm = resnet.get_submodule(name)
        statistics = {"running_mean": norm.running_mean, "running_var": norm.running_var}
        frozen = not name.startswith("layer4")
        for kind, found in statistics.items():
            assert isinstance(found, Tensor)
            if frozen:
                oracle.compare(f"{prefix}{kind}/{name}", found, relative=0)
            else:
                close(oracle, f"{prefix}{kind}/{name}", found)
        counter = norm.num_batches_tracked
        assert isinstance(counter, Tensor)
        oracle.compare(f"{prefix}nbt/{name}", counter, relative=0)


@each_file("agame", "appearance*")
def test_appearance(oracle: OracleFile) -> None:
    Appearance(oracle).compare()


class Appearance:
    """One file of the appearance model: two frames, their masks, and the variants."""

    def __init__(self, oracle: OracleFile) -> None:
        self.oracle = oracle
        self.features = [oracle.tensor("feat0"), oracle.tensor("feat1")]
        self.y = [oracle.tensor(f"seg{i}").flatten(2) for i in (0, 1)]
        self.size = self.features[0].shape[-2:]

    def model(self, **settings: Any) -> AppearanceModel:
        model = AppearanceModel(AppearanceConfig(**settings), self.features[0].shape[1])
        mine = "appearance."
        tensors = {k.removeprefix(mine): t for k, t in weights()[1].items() if k.startswith(mine)}
        if model.learned_offsets is not None:
            tensors["learned_offsets"] = self.oracle.tensor("offset_trainable").float()
        model.load_state_dict(tensors)
        return model.requires_grad_(False)

    def compare(self) -> None:
        model = self.model()
        x0, x1 = (model.project(features) for features in self.features)
        self.map("proj0", x0.mT)
        first = model.estimate(x0, self.y[0])
        base = Mixture(first.means[:, :2], first.variances[:, :2])
        self.mixture("base", base)
        base_scores = score(x0, base)
        q = base_scores.softmax(dim=1)
        self.map("base_scores0", base_scores)
        self.map("base_posterior0", q)
        self.map("residual0", (q - self.y[0]).relu())
        self.mixture("", first)
        self.map("scores0", model.output(x0, first))
        self.map("scores1", model.output(x1, first))
        self.mixture("est1", model.estimate(x1, self.y[1]))
        updated = model.update(first, x1, self.y[1])
        self.mixture("upd", updated)
        self.map("scores1_after_update", model.output(x1, updated))
        self.compare_variants(x0, x1)

    def compare_variants(self, x0: Tensor, x1: Tensor) -> None:
        unimodal = self.model(residual=False)
        first = unimodal.estimate(x0, self.y[0])
        self.mixture("unimodal", unimodal.update(first, x1, self.y[1]), suffix="_upd")
        fixed = self.model(estimate_variance=False)
        first = fixed.estimate(x0, self.y[0])
        self.mixture("fixedcov", first)
        self.map("fixedcov_scores1", fixed.output(x1, first))
        y = torch.stack([torch.ones_like(self.y[0][:, 0]), torch.zeros_like(self.y[0][:, 0])], 1)
        empty = self.model().estimate(x0, y)
        self.mixture("empty", empty)
        self.map("empty_scores1", self.model().output(x1, empty))
        constant = tuple(float(value) for value in self.oracle.array("offset_const"))
        offset = self.model(score_offsets=constant, learned_offsets=True)
        self.map("offset_scores1", offset.output(x1, self.model().estimate(x0, self.y[0])))

    def map(self, key: str, found: Tensor) -> None:
        close(self.oracle, key, found.unflatten(-1, self.size))

    def mixture(self, prefix: str, found: Mixture, *, suffix: str = "") -> None:
        start = f"{prefix}_" if prefix else ""
        close(self.oracle, f"{start}means{suffix}", found.means.transpose(0, 1))
        close(self.oracle, f"{start}covs{suffix}", found.variances.transpose(0, 1))


@each_file("agame", "modules*")
def test_modules(oracle: OracleFile) -> None:
    net = evaluated()
    assert net.propagation is not None
    first_mask, previous_mask = oracle.tensor("init_seg"), oracle.tensor("prev_seg")
    here = net.propagation.part_of_this_frame(oracle.tensor("s16"))
    first = net.propagation.part_of_first_frame(oracle.tensor("init_s16"), first_mask)
    close(oracle, "dyn_layer00", net.propagation.first_layer(here, first, previous_mask))
    propagated = net.propagation(here, first, previous_mask)
    close(oracle, "dyn_out", propagated)
    encoding, coarse = net.fusion(oracle.tensor("app_scores"), propagated)
    close(oracle, "fused", encoding)
    close(oracle, "coarse", coarse)
    fine = net.decoder(encoding, oracle.tensor("s8"), oracle.tensor("s4"))
    close(oracle, "fine", fine)
    close(oracle, "coarse_logseg", coarse_log_probs(coarse))


@each_file("agame", "aggregation*")
def test_aggregation(oracle: OracleFile) -> None:
    for case in [key.removesuffix("/prob") for key in oracle.keys("") if key.endswith("/prob")]:
        ids = np.array([0, *oracle.array(f"{case}/ids")])
        merged = [aggregate_probs(probs) for probs in oracle.tensor(f"{case}/prob").unbind(dim=1)]
        masks = torch.stack([two_channels(one[1:]) for one in merged], dim=1)
        oracle.compare(f"{case}/aggregated", masks, relative=0, absolute=1e-6)
        labels = ids[torch.stack([one.argmax(dim=0) for one in merged]).numpy()][:, None]
        oracle.compare(f"{case}/labels", labels, relative=0)


@each_file("agame", "e2e_multi*", "e2e_midseq*")
def test_many_objects(oracle: OracleFile) -> None:
    EndToEnd(oracle, segmenter()).compare()


@each_file("agame", "e2e_single*")
def test_single_object(oracle: OracleFile) -> None:
    EndToEnd(oracle, segmenter(update_mask="fine")).compare()


@each_file("agame", "e2e_coarse_first*")
def test_coarse_masks_and_the_first_frame(oracle: OracleFile) -> None:
    EndToEnd(oracle, segmenter(update_mask="coarse", process_first_frame=True)).compare()


class EndToEnd:
    """One file of a whole video, or of several that share their ids."""

    def __init__(self, oracle: OracleFile, segmenter: AgameSegmenter) -> None:
        self.oracle = oracle
        self.images = oracle.tensor("images")
        self.given = {
            index: oracle.tensor(f"given_label/{index}")[:, 0]
            for index in numbered(oracle.keys(), "given_label/")
        }
        self.padding = Padding(*self.images.shape[-2:])
        self.videos = [self.run(segmenter, batch) for batch in range(len(self.images))]

    def run(self, segmenter: AgameSegmenter, batch: int) -> list[Segmented]:
        state, frames = segmenter.start(), []
        for index, image in enumerate(self.images[batch]):
            found = segmenter.step_normalised(state, image, self.prompts(index, batch, state))
            state = found.state
            frames.append(found)
        return frames

    def prompts(self, index: int, batch: int, state: AgameState) -> Prompts:
        if index not in self.given:
            return {}
        ids = [int(i) for i in self.given[index].unique() if i and int(i) not in state.ids]
        return {object_id: self.given[index][batch] == object_id for object_id in ids}

    def compare(self) -> None:
        self.compare_labels()
        self.compare_calls()
        self.compare_states()
        for object_id in numbered(self.oracle.keys(), "logsegs/"):
            self.compare_log_probs("logsegs", object_id)
        for object_id in numbered(self.oracle.keys(), "coarse_logsegs/"):
            self.compare_log_probs("coarse_logsegs", object_id)

    def compare_labels(self) -> None:
        labels = [[found.masks.label_map() for found in video] for video in self.videos]
        found = torch.stack([torch.stack(video) for video in labels])[:, :, None]
        pixels = max(1.0, 2e-4 * found.numel())
        self.oracle.compare_labels("segs", found, pixels=pixels)

    def compare_calls(self) -> None:
        """Rows are frames, then objects; a batch stays within its row if there is one."""
        found: dict[str, list[Tensor]] = {"app_scores": [], "coarse": [], "fine": []}
        for frames in zip(*self.videos, strict=True):
            for slot in range(len(frames[0].predicted_ids)):
                predictions = [frame.prediction for frame in frames]
                for prediction in predictions:
                    assert prediction is not None and prediction.scores is not None
                    found["app_scores"].append(prediction.scores[slot])
                    found["coarse"].append(prediction.coarse[slot])
                    found["fine"].append(prediction.fine[slot])
        for name, values in found.items():
            if f"calls/{name}" in self.oracle:
                expected = self.oracle.tensor(f"calls/{name}")
                close(self.oracle, f"calls/{name}", torch.stack(values).reshape(expected.shape))

    def compare_states(self) -> None:
        last = [video[-1].state for video in self.videos]
        visibility = np.stack([last[0].ids, last[0].first_frames], axis=1)
        self.oracle.compare("visibility", visibility, relative=0)
        for slot, object_id in enumerate(last[0].ids):
            tracked = [state.objects for state in last if state.objects]
            mixtures = [objects.mixture for objects in tracked if objects.mixture]
            found = {
                "means": torch.stack([mixture.means[slot] for mixture in mixtures], dim=1),
                "covs": torch.stack([mixture.variances[slot] for mixture in mixtures], dim=1),
                "prev_seg": torch.stack([objects.previous_mask[slot] for objects in tracked]),
                "init_seg": torch.stack([objects.first_mask[slot] for objects in tracked]),
            }
            for name, values in found.items():
                if f"state/{object_id}/{name}" in self.oracle:
                    close(self.oracle, f"state/{object_id}/{name}", values)

    def compare_log_probs(self, kind: str, object_id: int) -> None:
        """Frames from an object's first one on; where nothing was predicted, the given mask."""
        expected = self.oracle.tensor(f"{kind}/{object_id}")
        first = self.images.shape[1] - expected.shape[1]
        for batch, video in enumerate(self.videos):
            for place, found in enumerate(video[first:]):
                what, wanted = f"{kind}/{object_id} frame {first + place}", expected[batch, place]
                if object_id in found.predicted_ids:
                    close_values(self.oracle, what, self.log_probs(kind, found, object_id), wanted)
                else:
                    given = self.given[first + place][batch] == object_id
                    clamped = given_log_probs(given[None])[0]
                    self.oracle.compare_values(what, clamped, wanted, relative=0, absolute=FRAME_0)

    def log_probs(self, kind: str, found: Segmented, object_id: int) -> Tensor:
        slot = found.predicted_ids.index(object_id)
        assert found.prediction is not None
        if kind == "coarse_logsegs":
            log_probs = coarse_log_probs(found.prediction.coarse)
        else:
            log_probs = found.prediction.fine.log_softmax(dim=1)
        return self.padding.crop(log_probs[slot])


@each_file("agame", "train_step*")
def test_training(oracle: OracleFile) -> None:
    TrainingStep(oracle).compare()


class TrainingStep:
    """One batch of clips: losses and gradients of both stages."""

    def __init__(self, oracle: OracleFile) -> None:
        self.oracle = oracle
        self.frames = oracle.tensor("images")
        self.labels = oracle.tensor("labels")[:, :, 0].long()

    def compare(self) -> None:
        self.compare_forward()
        for stage in ("stage1", "stage2"):
            self.compare_losses_and_gradients(stage)

    def compare_forward(self) -> None:
        net = network().train()
        with torch.no_grad():
            steps = follow(net, self.frames, self.labels[:, 0] == 1, coarse=False)
            found = torch.stack([step.fine for step in steps], dim=1)
        wanted = self.oracle.tensor("stage1/logsegs")
        self.oracle.compare_values(
            "frame 0", found[:, 0], wanted[:, 0], relative=0, absolute=FRAME_0
        )
        close_values(self.oracle, "stage1/logsegs", found[:, 1:], wanted[:, 1:])
        labels = found.argmax(dim=2)
        iou = [target_iou(labels == value, self.labels == value) for value in (0, 1)]
        close(self.oracle, "stage1/iou", torch.stack(iou, dim=-1))
        _compare_statistics(self.oracle, net.trunk.resnet, prefix="bn/")

    def compare_losses_and_gradients(self, stage: str) -> None:
        net = network().train()
        with torch.backends.mkldnn.flags(enabled=False):
            self.compare_in_plain_kernels(net, stage)

    def compare_in_plain_kernels(self, net: AgameNetwork, stage: str) -> None:
        """Compare losses and gradients, computed without oneDNN.

        With one thread of some Intel processors, oneDNN's rounding changes the norm of a gradient
        that nearly cancels (3e-4) by 2e-3. Plain kernels, and float64, agree with it to 1e-6.
        """
        losses = clip_losses(net, self.frames, self.labels, auxiliary=stage == "stage1")
        self.oracle.compare(f"{stage}/loss_main", losses.main, relative=1e-5)
        total = losses.main
        if losses.auxiliary is not None:
            self.oracle.compare(f"{stage}/loss_aux", losses.auxiliary, relative=1e-5)
            total = total + losses.auxiliary
        self.oracle.compare(f"{stage}/loss_total", total, relative=1e-5)
        total.backward()
        gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
        self.compare_gradients(stage, to_published(gradients))

    def compare_gradients(self, stage: str, gradients: dict[str, Tensor]) -> None:
        count = f"{stage}/n_params_with_grad"
        self.oracle.compare(count, len(gradients), relative=0)
        norms = {name: float(gradient.double().norm()) for name, gradient in gradients.items()}
        total = float(np.sqrt(sum(norm**2 for norm in norms.values())))
        self.oracle.compare(f"{stage}/total_grad_norm", total, relative=1e-3)
        expected = self.oracle.array(f"{stage}/grad_norm")
        for name, norm in zip(self.oracle.array("names"), expected, strict=True):
            self.oracle.compare_values(f"norm of {name}", norms[str(name)], norm, relative=1e-3)
        for name in self.oracle.array("full_names"):
            is_norm = "layer4" in name and (".bn" in name or "downsample.1" in name)
            found, key = gradients[str(name)].double(), f"{stage}/grad/{name}"
            wanted = self.oracle.tensor(key).double()
            deviation = float((found - wanted).norm() / wanted.norm())
            self.oracle.record(key, deviation / (2e-2 if is_norm else 1e-3))


@each_file("agame", "container_*")
def test_containers(oracle: OracleFile) -> None:
    if oracle.path.suffix == ".npz":  # compared with the containers that hold these parameters
        oracle.ignore("")
        oracle.record("read", 0.0)
        return
    checkpoint = read_inertly(oracle, read_foreign_checkpoint)
    if checkpoint is None:
        oracle.record("refused", 0.0)
        return
    found, published = parameters(checkpoint), oracle_weights("agame")
    if expected := expected_parameters(oracle, set(found)):
        compare_parameters(oracle, found, expected)
        return
    assert may_be_refused(oracle) or found.keys() <= published.keys()
    for name, tensor in ((name, found[name]) for name in found if name in published):
        oracle.compare_values(name, tensor, published[name], relative=0)
        ours = weights()[1][our_name(name)]
        oracle.compare_values(
            f"{name} under our name", tensor.flatten(), ours.flatten(), relative=0
        )
    oracle.record("read without harm", 0.0)
