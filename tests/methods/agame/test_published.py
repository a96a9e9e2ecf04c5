"""The authors' names: there and back, for every variant; what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.io.weights.checkpoints import read_foreign_checkpoint
from maskcast.methods.agame.config import (
    AgameConfig,
    AppearanceConfig,
    FusionConfig,
    PropagationConfig,
)
from maskcast.methods.agame.method import build
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.published import (
    from_published,
    our_name,
    published_key,
    read_published,
    to_published,
    write_published,
)
from maskcast.methods.catalogue import choose_weights
from maskcast.methods.published_weights import export_weights, import_weights
from maskcast.methods.spec import build as build_by_catalogue

NARROW = AgameConfig(
    trunk_classes=3,
    appearance=AppearanceConfig(channels=6),
    propagation=PropagationConfig(channels=4),
    fusion=FusionConfig(hidden_channels=5, channels=3),
    decoder_channels=4,
)
VARIANTS = {
    "standard": NARROW,
    "3x3 predictor": replace(
        NARROW, fusion=FusionConfig(hidden_channels=5, channels=3, coarse_kernel=3)
    ),
    "unimodal": replace(NARROW, appearance=AppearanceConfig(channels=6, residual=False)),
    "no appearance": replace(NARROW, appearance=AppearanceConfig(output="none")),
    "no propagation": replace(NARROW, propagation=PropagationConfig(enabled=False)),
    "no first frame": replace(NARROW, propagation=PropagationConfig(channels=4, first_frame=False)),
    "learned offsets": replace(
        NARROW, appearance=AppearanceConfig(channels=6, learned_offsets=True)
    ),
}


@cache
def trunk_entries() -> dict[str, Tensor]:
    with torch.device("meta"):
        names = AgameNetwork(NARROW).state_dict()
    made = {name: torch.zeros(t.shape, dtype=t.dtype) for name, t in names.items()}
    return {name: t for name, t in made.items() if name.startswith("trunk.")}


def tensors(config: AgameConfig) -> dict[str, Tensor]:
    """Seeded heads, and a trunk of zeros."""
    with torch.device("meta"):
        names = AgameNetwork(config).state_dict()
    torch.manual_seed(0)
    return {
        name: trunk_entries()[name] if name.startswith("trunk.") else torch.randn(t.shape)
        for name, t in names.items()
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_recognised_and_comes_back(variant: str) -> None:
    ours = tensors(VARIANTS[variant])
    config, found = from_published(to_published(ours))
    expected = VARIANTS[variant]
    if not expected.propagation.enabled:  # its width is written nowhere
        expected = replace(expected, propagation=replace(config.propagation, enabled=False))
    assert config == expected
    assert found.keys() == ours.keys()
    assert all(found[name].equal(ours[name]) for name in ours)


def test_names_are_those_of_the_publication() -> None:
    assert published_key("trunk.resnet.layer4.2.bn3.running_var") == (
        "trackseg.backbone.layer4.2.bn3.running_var"
    )
    assert our_name("trackseg.dynmod.layers.layer01.conv2.bias") == "propagation.pyramid.2.bias"
    assert our_name("trackseg.backbone.fc.bias") == "trunk.classifier.bias"
    published = to_published(tensors(VARIANTS["learned offsets"]))
    assert published["trackseg.appmod.cov_reg"].shape == (4, 1, 6, 1, 1)
    assert published["trackseg.appmod.logprob_trainable_bias"].shape == (4,)
    assert len(published) == len(set(published)) == 656


def test_counters_and_the_classifier_may_be_missing() -> None:
    published = to_published(tensors(NARROW))
    found = {k: t for k, t in published.items() if "num_batches" not in k and ".fc." not in k}
    config, loaded = from_published(found)
    assert config == replace(NARROW, trunk_classes=0)
    assert loaded["trunk.resnet.bn1.num_batches_tracked"].dtype == torch.int64


def test_the_training_container_is_opened() -> None:
    container: dict[str, Any] = {
        "net_type": "AGAME",
        "epoch": 3,
        "net": to_published(tensors(NARROW)),
    }
    assert from_published(container)[0] == NARROW
    with pytest.raises(WeightsError, match="'OTHER'"):
        from_published({**container, "net_type": "OTHER"})
    with pytest.raises(WeightsError, match="no dictionary of parameters"):
        from_published({**container, "net": [1, 2]})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"trackseg.segmod.blend_s8.conv.bias": None}, "blend_s8.conv.bias is missing"),
        ({"trackseg.appmod.cov_reg": torch.zeros(4, 6)}, r"4×1×C×1×1"),
        ({"trackseg.segmod.predictor.conv.bias": torch.zeros(3)}, r"shape \(3,\), expected \(2,\)"),
        (
            {"trackseg.fusmod.layers.layer00.conv.weight": torch.zeros(5, 9, 3, 3)},
            "9 input channels",
        ),
        ({"trackseg.other.weight": torch.zeros(1)}, "trackseg.other.weight"),
        ({"trackseg.backbone.layer9.weight": torch.zeros(1)}, "layer9"),
        ({"trackseg.fusmod.layers.layer00.conv.weight": None}, "fusmod.layers.layer00.conv.weight"),
    ],
)
def test_anything_else_is_refused_by_name(damage: dict[str, Tensor | None], message: str) -> None:
    entries = {**to_published(tensors(NARROW)), **damage}
    with pytest.raises(WeightsError, match=message):
        from_published({name: t for name, t in entries.items() if t is not None})


def test_an_exported_file_is_read_back(tmp_path: Path) -> None:
    config = replace(NARROW, trunk_classes=0)
    ours = tensors(config)
    write_published(tmp_path / "net.pth.tar", config, {k: _half(t) for k, t in ours.items()})
    found_config, found = read_published(tmp_path / "net.pth.tar")
    assert found_config == replace(NARROW, trunk_classes=1000)  # their code wants a classifier
    name = "decoder.fine.weight"
    torch.testing.assert_close(found[name], ours[name], atol=2e-3, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [False, True])
def test_the_authors_file_gets_its_name_and_segments(
    zipped: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Import with foreign objects inside, ``--weights agame``, and the file again."""
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "main_runfile_beta_best.pth.tar"
    net = to_published(tensors(NARROW))
    with monkeypatch.context() as foreign:
        stats = ModuleType("utils.stats")
        meter = type("AverageMeter", (), {"__module__": "utils.stats"})
        stats.AverageMeter = meter  # type: ignore[attr-defined]
        foreign.setitem(sys.modules, "utils", ModuleType("utils"))
        foreign.setitem(sys.modules, "utils.stats", stats)
        content = {"epoch": 9, "net_type": "AGAME", "net": net, "stats": {"loss": meter()}}
        torch.save(content, source, _use_new_zipfile_serialization=zipped)
    import_weights(str(source))
    assert choose_weights(None, "agame").name == "agame-small"
    assert "the authors' weights of agame are installed as agame" in caplog.text
    weights = choose_weights("agame", None)
    assert weights.card["imported from"] == source.name
    segmenter = build_by_catalogue(weights)
    mask = torch.zeros(20, 24, dtype=torch.bool)
    mask[5:12, 6:20] = True
    state, found = segmenter.step(segmenter.start(), torch.rand(3, 20, 24), {3: mask})
    assert found.probs[0].equal(mask.float())
    assert segmenter.step(state, torch.rand(3, 20, 24))[1].probs.isfinite().all()
    export_weights("agame", tmp_path / "back.pth.tar")
    back = read_foreign_checkpoint(tmp_path / "back.pth.tar")["net"]
    assert back.keys() == net.keys()
    for name, tensor in net.items():
        torch.testing.assert_close(back[name], tensor, rtol=1e-3, atol=1e-6)  # kept in half


def _half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def test_a_small_trunk_has_no_published_form(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="resnet18"):
        write_published(tmp_path / "net.pth.tar", tiny(), {})


def test_weights_of_other_settings_are_refused() -> None:
    weights = AgameNetwork(tiny()).state_dict()
    other = replace(tiny(), decoder_channels=9)
    with pytest.raises(WeightsError, match="do not match"):
        build(other, weights)
