"""The assembled network, and the mini-sequences of its training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from maskcast.core.errors import ConfigError
from maskcast.methods.lwl.config import NetworkConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import boxinit, small, small_lite, tiny, ytvos
from maskcast.nn.resnet import Taps
from methods.lwl.mini_sequence import segment_queries

TINY = tiny().network


def network(config: NetworkConfig = TINY) -> LWLNetwork:
    torch.manual_seed(0)
    return LWLNetwork(config).train()


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor]:
    """Four frames of two sequences, and masks."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(4, 2, 32, 48)
    masks[:, :, 8:24, 10:30] = 1
    return torch.rand(4, 2, 3, 32, 48, generator=generator) + masks[:, :, None], masks


def forward(net: LWLNetwork, clip: tuple[Tensor, Tensor], **options: int) -> Tensor:
    return segment_queries(net, net.prepare(clip[0]), clip[1], **options)


def test_caffe_input_is_bgr_minus_the_mean() -> None:
    net = network(replace(TINY, trunk_layout="mrcnn"))
    frame = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1)
    expected = torch.tensor([153 - 102.9801, 102 - 115.9465, 51 - 122.7717])
    torch.testing.assert_close(net.prepare(frame).flatten(), expected)


def test_imagenet_input_is_standardised_rgb() -> None:
    frame = torch.tensor([0.485, 0.456 + 0.224, 0.406]).view(3, 1, 1)
    torch.testing.assert_close(network().prepare(frame).flatten(), torch.tensor([0.0, 1.0, 0.0]))


def test_lite_input_is_rgb_around_one_half() -> None:
    net = network(replace(TINY, trunk="efficientnet-lite0", trunk_layout="mrcnn"))
    frame = torch.tensor([0.5, 1.0, 0.25]).view(3, 1, 1)
    torch.testing.assert_close(net.prepare(frame).flatten(), torch.tensor([0.0, 1.0, -0.5]))


@pytest.mark.parametrize("trunk", ["efficientnet-lite0", "efficientnet-lite2"])
def test_the_small_network_on_a_lite_trunk(trunk, clip: tuple[Tensor, Tensor]) -> None:
    config = small_lite(trunk)
    assert config.network.decoder_widths == small().network.decoder_widths
    assert config.memory.size == 12
    net = network(config.network)
    assert not any(m.training for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    moved = gradients(net, clip)
    assert {"trunk.conv1.weight", "trunk.layer4.0.conv1.weight", "features.conv.weight"} <= moved
    assert 2 * sum(t.numel() for t in net.state_dict().values()) < 30e6


def test_batch_norms_stay_in_evaluation() -> None:
    for net in (LWLNetwork(TINY), network()):
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms and not any(norm.training for norm in norms)


def test_applied_updates_change_all_query_frames_but_the_first(clip: tuple[Tensor, Tensor]) -> None:
    net = network()
    plain, updated = (forward(net, clip, update_steps=steps) for steps in (0, 2))
    assert torch.equal(plain[0], updated[0])
    assert not torch.equal(plain[1], updated[1])


def test_sequences_of_a_batch_do_not_disturb_each_other(clip: tuple[Tensor, Tensor]) -> None:
    net = network()
    together = forward(net, clip)
    alone = forward(net, (clip[0][:, 1:], clip[1][:, 1:]))
    torch.testing.assert_close(together[:, 1:], alone, rtol=1e-4, atol=1e-4)


def by_the_book(net: LWLNetwork, images: Tensor, mask: Tensor, *, apply_updates: bool) -> Tensor:
    """Section 5 of the specification for one sequence, with steps by automatic differentiation."""
    taps = net.trunk(images)
    x = net.features(taps.layer3)
    kappa = net.learner.kappa

    def residuals(tau: Tensor, shown: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        scores = functional.conv2d(x[: len(shown)], tau, padding=1)
        return [v * (s - e) for s, (e, v) in zip(scores, shown, strict=True)] + [kappa * tau]

    def steps(tau: Tensor, shown: list[tuple[Tensor, Tensor]], count: int) -> Tensor:
        for _ in range(count):
            loss = 0.5 * sum(r.square().sum() for r in residuals(tau, shown))
            (g,) = torch.autograd.grad(loss, tau, create_graph=True)
            nought = [(torch.zeros_like(e), v) for e, v in shown]
            curvature = sum(q.square().sum() for q in residuals(g, nought))
            tau = tau - g.square().sum() / curvature.clamp(min=1e-8) * g
        return tau

    def encoded(soft_mask: Tensor) -> tuple[Tensor, Tensor]:
        label, weight = net.label_encoder(soft_mask[None])
        return label[0], weight[0]

    shown = [encoded(mask)]
    config = net.config
    tau = images.new_zeros(config.filters, config.feature_channels, 3, 3, requires_grad=True)
    tau = steps(tau, shown, 5)
    logits = []
    for query in range(1, len(images)):
        frame = Taps(*(tap[query : query + 1] for tap in taps))
        scores = functional.conv2d(x[query : query + 1], tau, padding=1)
        logits.append(net.decoder(scores, frame, tuple(images.shape[-2:]))[0])
        shown.append(encoded(logits[-1].detach().sigmoid()))
        if apply_updates and query + 1 < len(images):
            tau = steps(tau, shown, 2)
    return torch.stack(logits)


@pytest.mark.parametrize("apply_updates", [False, True])
def test_logits_and_gradients_are_those_of_the_definition(apply_updates: bool) -> None:
    """Two sequences of odd size in one call, against one at a time."""
    net = network()
    nn.init.normal_(net.label_encoder.weight.weight, std=0.3)
    images = torch.rand(4, 2, 3, 49, 35, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(1, 2, 49, 35)
    masks[0, 0, 10:30, :12], masks[0, 1, 20:, 8:30] = 1, 1
    one_by_one = [
        by_the_book(net, images[:, b], masks[0, b], apply_updates=apply_updates) for b in (0, 1)
    ]
    expected = torch.stack(one_by_one, dim=1)
    found = segment_queries(net, images, masks, update_steps=2 if apply_updates else 0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    parameters = [p for name, p in net.named_parameters() if "box" not in name]
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    sides = [torch.autograd.grad((side * weight).sum(), parameters) for side in (found, expected)]
    for mine, theirs in zip(*sides, strict=True):
        assert (mine - theirs).norm() <= 1e-3 * theirs.norm() + 1e-6


def gradients(net: LWLNetwork, clip: tuple[Tensor, Tensor]) -> set[str]:
    """Names of the parameters that a loss on the queries moves."""
    forward(net, clip).square().mean().backward()
    return {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}


LADDER = {
    "baseline": replace(TINY, filters=1, label="mask", weight="uniform", end_to_end=False),
    "end to end": replace(TINY, filters=1, label="mask", weight="uniform"),
    "label generator": replace(TINY, weight="uniform"),
    "weight predictor": TINY,
}


@pytest.mark.parametrize("rung", LADDER)
def test_each_rung_of_the_ladder_trains_what_it_should(
    rung: str, clip: tuple[Tensor, Tensor]
) -> None:
    net = network(LADDER[rung])
    if isinstance(getattr(net.label_encoder, "weight", None), nn.Conv2d):
        nn.init.normal_(net.label_encoder.weight.weight)  # it starts at 0, which passes nothing on
    moved = gradients(net, clip)
    learnt = list(LADDER).index(rung)
    assert "decoder.upsampler.conv2.weight" in moved
    assert ("features.conv.weight" in moved) == (learnt >= 1)
    assert ("learner.kappa" in moved) == (learnt >= 1)
    assert ("label_encoder.label.weight" in moved) == (learnt >= 2)
    assert ("label_encoder.weight.weight" in moved) == (learnt >= 3)


def test_autocast_reaches_the_same_within_its_precision(clip: tuple[Tensor, Tensor]) -> None:
    net = network()
    exact = forward(net, clip)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = forward(net, clip).float()
    assert (exact - rounded).abs().max() < 0.1 * exact.abs().max()


def test_sizes_of_the_published_and_the_small_network() -> None:
    with torch.device("meta"):
        full, box, light = (LWLNetwork(c.network) for c in (ytvos(), boxinit(), small()))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in box.named_children()}
    assert count == {
        "prepare": 0,
        "trunk": 23_508_032,
        "features": 4_718_592,
        "label_encoder": 110_880,
        "learner": 1,
        "decoder": 8_321_217,
        "box_encoder": 747_792,
    }
    assert len(full.state_dict()) == 480
    assert 2 * sum(t.numel() for t in light.state_dict().values()) < 30e6


@pytest.mark.parametrize(
    "nonsense",
    [
        {"label": "mask"},
        {"kernel_size": 2},
        {"filters": 0},
        {"initial_kappa": float("nan")},
    ],
)
def test_nonsense_is_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(TINY, **nonsense)
