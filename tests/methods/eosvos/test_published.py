"""The authors' files: written, read again, completed from COCO, refused."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import WeightsError
from maskcast.core.randomness import seeded
from maskcast.methods.eosvos import published
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig
from maskcast.methods.eosvos.inner_loop import LearnedStart, gradients_of, learned_start_of
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.published import (
    level_of,
    read_published,
    take_start_weights,
    with_coco_statistics,
    write_published,
)
from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk

from . import small


@pytest.fixture
def tiny_files(monkeypatch):
    """Files of the tiny network: the reader expects the published sizes otherwise."""

    def tiny_config(**named):
        return small.config(**{"norm": named["norm"]})

    monkeypatch.setattr(published, "MaskRCNNConfig", tiny_config)


def tensors_of(level="neuron", norm="group"):
    return learned_start_of(small.network(norm=norm), level=level).state_dict()


def config_of(level, norm="group"):
    return small.method(rate_level=level, network=small.config(norm=norm))


@pytest.mark.parametrize("level", ["neuron", "tensor", "single", "param"])
def test_what_is_written_is_read_again(tmp_path, tiny_files, level):
    tensors = tensors_of(level)
    write_published(tmp_path / "best.model", config_of(level), tensors, iteration=7)
    config, found = read_published(tmp_path / "best.model")
    assert config.rate_level == level_of(tensors) == level
    assert list(found) == list(tensors)
    for key, value in tensors.items():
        assert torch.equal(found[key], value)


def test_the_container_is_what_the_authors_tools_read(tmp_path):
    config = config_of("neuron", "frozen_bn")
    write_published(tmp_path / "best.model", config, tensors_of(norm="frozen_bn"), iteration=7)
    tree = torch.load(tmp_path / "best.model", weights_only=True, map_location="cpu")
    assert set(tree) == {"meta_optim_state_dict", "vis_win_names", "meta_iter", "meta_epoch"}
    assert tree["meta_iter"] == 7
    assert not any(key.startswith("fixed_") for key in tree["meta_optim_state_dict"])
    assert (tmp_path / "best.model").read_bytes()[:2] == b"\x80\x02"  # no zip: the format of 2019


def test_statistics_of_frozen_normalisation_come_from_coco(tmp_path, tiny_files):
    tensors = tensors_of(norm="frozen_bn")
    write_published(tmp_path / "frozen.model", config_of("neuron", "frozen_bn"), tensors)
    coco = small.network(seed=9, norm="frozen_bn")
    torch.save(coco.state_dict(), tmp_path / "coco.pth")
    config, found = read_published(tmp_path / "frozen.model")
    complete = with_coco_statistics(config, found, tmp_path / "coco.pth")
    learned = learned_start_of(small.network(norm="frozen_bn"))
    with pytest.raises(WeightsError, match="come from COCO"):
        learned.load_tensors(found)
    learned.load_tensors(complete)
    assert set(learned.fixed) == set(small.network(norm="frozen_bn").fixed_values())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.pop("model_init_rpn-head-conv-bias"), "1 tensors missing"),
        (lambda t: t.update({"more": torch.zeros(1)}), "1 unknown:\n  - unknown: more"),
        (lambda t: t.update({"model_init_rpn-head-conv-bias": torch.zeros(3)}), "expected"),
        (lambda t: t["log_init_lr_rpn-head-conv-bias"].fill_(-1), "negative"),
        (lambda t: t["model_init_rpn-head-conv-bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, tiny_files, spoil, message):
    tensors = {key: value.clone() for key, value in tensors_of().items()}
    spoil(tensors)
    content = {"meta_optim_state_dict": tensors, "meta_iter": 1, "meta_epoch": 1}
    torch.save(content, tmp_path / "bad.model")
    with pytest.raises(WeightsError):
        write_published(tmp_path / "worse.model", config_of("neuron"), tensors)
    assert not (tmp_path / "worse.model").exists()
    with pytest.raises(WeightsError, match=message):
        read_published(tmp_path / "bad.model")


def test_other_files_are_refused(tmp_path):
    torch.save({"net": {}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"not an e-OSVOS \.model file"):
        read_published(tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no learning rates"):
        level_of({"model_init_a": torch.zeros(1)})


def test_start_weights_are_taken_where_name_and_shape_agree(tmp_path):
    given = small.network(seed=3)
    state = given.state_dict()
    state["roi_heads.box_predictor.cls_score.weight"] = torch.zeros(91, 16)  # COCO's classes
    torch.save(state, tmp_path / "coco.pth")
    own = small.network(seed=4)
    before = own.roi_heads.box_predictor.cls_score.weight.clone()
    taken = take_start_weights(own, tmp_path / "coco.pth")
    assert len(taken) == len(state) - 1
    assert torch.equal(own.backbone.body.conv1.weight, given.backbone.body.conv1.weight)
    assert torch.equal(own.roi_heads.box_predictor.cls_score.weight, before)


def test_norms_keep_weight_and_bias_and_lose_their_statistics(tmp_path):
    given = small.network(seed=3, norm="frozen_bn")
    given.backbone.body.bn1.weight.fill_(2.0)
    given.backbone.body.bn1.running_var.fill_(9.0)
    torch.save(given.state_dict(), tmp_path / "coco.pth")
    own = small.network(seed=4)
    take_start_weights(own, tmp_path / "coco.pth")
    assert (own.backbone.body.bn1.weight == 2).all()


def test_a_trunk_alone_is_enough(tmp_path):
    trunk = small.network(seed=3).backbone.body.state_dict()
    torch.save(dict(trunk), tmp_path / "trunk.pth")
    own = small.network(seed=4)
    assert len(take_start_weights(own, tmp_path / "trunk.pth")) == len(trunk)
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="no tensor in common"):
        take_start_weights(own, tmp_path / "none.pth")


def test_a_lite_trunk_starts_from_the_weights_of_another_method(tmp_path):
    with seeded(3):
        lite = EfficientNetLiteTrunk(padding="symmetric").eval()
    tensors = {f"trunk.{name}": value for name, value in lite.state_dict().items()}
    torch.save(tensors, tmp_path / "lwl.pth")
    lite_config = {"trunk": "efficientnet-lite0", "norm": "frozen_bn", "pyramid_channels": 16}
    own = small.network(**lite_config)
    taken = take_start_weights(own, tmp_path / "lwl.pth")
    assert len(taken) == sum("num_batches" not in name for name in tensors)
    frame = torch.rand(1, 3, 64, 96)
    ends = own.backbone.body(frame)
    for level, tap in zip("0123", lite(frame), strict=True):
        torch.testing.assert_close(ends[level], tap)
    assert not any("bn" in name for name in own.published_parameters() if ".body." in name)
    losses, gradients = gradients_of(own, small.batch(own, 0))
    assert all(0 <= value < 100 for value in losses.values())
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_published_sizes():
    with torch.device("meta"):
        learned = LearnedStart(
            ObjectNetwork(MaskRCNNConfig()).published_parameters(),
            level=EOSVOSConfig().rate_level,
        )
    assert len(learned.state_dict()) == 402
    assert sum(r.numel() for r in learned.stored_rates) == 90_998
    assert sum(p.numel() for p in learned.start) == 43_975_515
