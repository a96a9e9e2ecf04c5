"""``SegmenterSpec``: building and naming a segmenter from a small picklable value."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from contract.coloured_video import frames, true_mask
from maskcast.core.config import config_from_dict, config_to_dict, with_options
from maskcast.core.errors import ConfigError, UsageError, WeightsError
from maskcast.core.segmenter import BuiltSegmenter, SegmenterSource
from maskcast.core.types import Box
from maskcast.io.weights.files import sha256_of, write_weights
from maskcast.io.weights.names import SHIPPED, read_weights
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.presets import tiny as tiny_agame
from maskcast.methods.catalogue import METHODS, configured, options_in_force
from maskcast.methods.spec import SegmenterSpec, load_segmenter

SMALL_SHA256 = sha256_of(SHIPPED / "lwl-small.safetensors")


@pytest.fixture
def agame(tmp_path) -> SegmenterSpec:
    """A spec of tiny A-GAME weights, which do not start from boxes themselves."""
    path = tmp_path / "tiny-agame.safetensors"
    config = tiny_agame()
    torch.manual_seed(0)
    tensors = AgameNetwork(config).state_dict()
    write_weights(path, method="agame", config=config_to_dict(config), tensors=tensors, card={})
    return SegmenterSpec(weights=str(path), device="cpu")


def test_a_copy_from_another_process_builds_the_same_segmenter(agame):
    source: SegmenterSource = agame
    copy: SegmenterSource = pickle.loads(pickle.dumps(agame))
    assert copy == source
    video, prompts = frames(2, (1,)), {1: true_mask(1, 0)}
    found = []
    for each in (source, copy):
        built: BuiltSegmenter = each.build()
        assert built.device == torch.device("cpu")
        state, _ = built.segmenter.step(built.segmenter.start(), video[0], prompts)
        found.append(built.segmenter.step(state, video[1])[1].probs)
    assert found[0].equal(found[1])


def test_the_identity_is_known_without_building_and_leaves_the_device_out(agame):
    spec = replace(agame, options={"update_rate": "0.25"}, dtype="bfloat16")
    identity = spec.identity(uses_boxes=False)
    assert identity.method == "agame"
    assert identity.weights == "tiny-agame"
    assert len(identity.weights_sha256) == 64
    assert identity.options == {"update_rate": "0.25"}
    assert identity.dtype == "bfloat16"
    assert identity == spec.build().identity(uses_boxes=False)
    assert identity == replace(spec, device="cuda:7").identity(uses_boxes=False)


def test_the_box_start_counts_only_where_boxes_are_used_and_the_method_needs_it(agame):
    assert agame.identity(uses_boxes=False).box_start is None
    assert agame.identity(uses_boxes=True).box_start == f"lwl-small {SMALL_SHA256}"
    assert agame.build().identity(uses_boxes=True) == agame.identity(uses_boxes=True)
    assert SegmenterSpec(weights="lwl-small").identity(uses_boxes=True).box_start is None


@pytest.fixture
def with_a_rule_by_name(monkeypatch):
    """Give the weights in the package a setting beyond those in their file."""
    settings = {"lwl-small": {"presence.rule": "confidence"}}
    monkeypatch.setitem(METHODS, "lwl", replace(METHODS["lwl"], shipped_settings=settings))


def test_what_is_built_takes_boxes_whatever_the_method(agame):
    segmenter = agame.build().segmenter
    _, masks = segmenter.step(segmenter.start(), frames(1, (1,))[0], {4: Box(1, 1, 8, 8)})
    assert masks.ids == (4,)


def test_defaults_are_the_weights_in_the_package_and_of_the_method():
    default = SegmenterSpec().identity(uses_boxes=False)
    assert (default.method, default.weights) == ("lwl", "lwl-small")
    assert default == SegmenterSpec(method="lwl").identity(uses_boxes=False)


def test_the_default_weights_detect_absence_and_those_of_0_1_do_not():
    config = SegmenterSpec(device="cpu").build().segmenter.config
    assert (config.presence.rule, config.crop.disjoint_boxes) == ("likeness", True)
    assert config.memory.dtype == "bfloat16"
    spec = SegmenterSpec(weights="lwl-small-0.1", device="cpu")
    assert spec.identity(uses_boxes=False).options == {}
    config = spec.build().segmenter.config
    assert (config.presence.rule, config.crop.disjoint_boxes) == ("off", False)
    assert config.memory.dtype == "float32"


def test_settings_of_weights_asked_for_by_name_can_be_overridden(with_a_rule_by_name):
    spec = SegmenterSpec(device="cpu")
    assert spec.identity(uses_boxes=False).options == {"presence.rule": "confidence"}
    built = spec.build()
    assert built.segmenter.config.presence.rule == "confidence"
    assert built.identity(uses_boxes=False) == spec.identity(uses_boxes=False)
    by_short_name = replace(spec, options={"rule": "likeness", "update_steps": "5"})
    assert by_short_name.identity(uses_boxes=False).options == {"update_steps": "5"}
    assert by_short_name.build().segmenter.config.presence.rule == "likeness"
    assert load_segmenter(device="cpu").config.presence.rule == "confidence"
    assert load_segmenter(device="cpu", options={"rule": "likeness"}).config.presence.rule == (
        "likeness"
    )


def test_the_file_of_weights_in_the_package_has_its_own_settings_alone(with_a_rule_by_name):
    spec = SegmenterSpec(weights=str(SHIPPED / "lwl-small.safetensors"), device="cpu")
    assert spec.identity(uses_boxes=False).options == {}
    assert spec.build().segmenter.config.presence.rule == "likeness"
    with_rule = replace(spec, options={"presence.rule": "confidence"})
    assert with_rule.identity(uses_boxes=False).options == {"presence.rule": "confidence"}


@pytest.mark.parametrize("method", METHODS)
def test_settings_of_weights_in_the_package_fit_their_files(method):
    for name, settings in METHODS[method].shipped_settings.items():
        weights = read_weights(name)
        assert weights.shipped and weights.method == method
        assert options_in_force(weights, {}) == dict(settings)
        plain = config_from_dict(METHODS[method].config, weights.config)
        assert configured(weights)[1] == with_options(plain, settings) != plain


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (SegmenterSpec(method="none"), UsageError, "unknown method 'none'"),
        (SegmenterSpec(weights="lwl-small", method="agame"), UsageError, "are for lwl"),
        (SegmenterSpec(weights="none"), WeightsError, "no weights named 'none'"),
        (SegmenterSpec(options={"none": "1"}), ConfigError, "unknown setting 'none'"),
        (SegmenterSpec(options={"update_steps": "-1"}), ConfigError, "update_steps"),
    ],
)
def test_what_does_not_fit_is_an_error_without_building(spec, error, words):
    with pytest.raises(error, match=words):
        spec.identity(uses_boxes=False)
    with pytest.raises(error, match=words):
        spec.build()


def test_a_device_that_is_missing_is_an_error_when_building():
    with pytest.raises(UsageError, match="unknown device 'abacus'"):
        SegmenterSpec(device="abacus").build()


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.safetensors")))
def test_all_weights_in_the_package_can_be_built(name):
    built = SegmenterSpec(weights=name, device="cpu").build()
    assert built.identity(uses_boxes=False).weights == name
