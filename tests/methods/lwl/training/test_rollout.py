"""Following clips in training, with the memory of inference on request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from maskcast.core.errors import ConfigError
from maskcast.methods.lwl.config import MemoryConfig
from maskcast.methods.lwl.few_shot_learner import Samples
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.lwl.training import rollout
from maskcast.methods.lwl.training.config import RolloutConfig
from maskcast.methods.lwl.training.rollout import ClipFollower, Followed

TINY = replace(tiny().network, presence_head=True)
MEMORY = MemoryConfig(update_rate=0.2)


@pytest.fixture
def network() -> LWLNetwork:
    torch.manual_seed(0)
    return LWLNetwork(TINY).train()


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor]:
    """Prepared frames of two sequences, five each, and masks."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(5, 2, 32, 48)
    masks[:, :, 8:24, 10:30] = 1
    return torch.rand(5, 2, 3, 32, 48, generator=generator) + masks[:, :, None], masks


def follow(
    network: LWLNetwork,
    clip: tuple[Tensor, Tensor],
    *,
    visible: Tensor | None = None,
    boxes: Tensor | None = None,
    **settings: Any,
) -> Followed:
    follower = ClipFollower(
        network=network,
        config=RolloutConfig(**settings),
        memory=MEMORY,
        initial_steps=3,
        update_steps=2,
    )
    images, masks = clip
    if visible is None:
        visible = torch.ones(masks.shape[:2], dtype=torch.int8)
    return follower.follow(network.prepare(images), masks, visible, boxes)


class Fits:
    """Records what the learner is fitted to."""

    def __init__(self, network: LWLNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
        self.samples: list[Samples] = []
        forward = network.learner.forward

        def spy(tau: Tensor, samples: Samples, *rest: Any) -> Tensor:
            self.samples.append(samples)
            fitted: Tensor = forward(tau, samples, *rest)
            return fitted

        monkeypatch.setattr(network.learner, "forward", spy)

    def gammas(self, network: LWLNetwork) -> Tensor:
        """Weights of sequences × frames in the last fit; W is 1 before any training."""
        return self.samples[-1].v[:, :, 0, 0, 0]


def test_presence_is_judged_on_query_frames_and_boxes_are_not_needed(
    network: LWLNetwork, clip: tuple[Tensor, Tensor]
) -> None:
    found = follow(network, clip)
    assert found.presence is not None and found.presence.visible.shape == (4, 2)
    assert found.box_logits is None


def test_gammas_are_those_of_the_memory_by_hand(
    network: LWLNetwork, clip: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = Fits(network, monkeypatch)
    follow(network, clip, gammas_as_at_test=True)
    # η = 0.8, each new frame weighs 1 / η of the one before it: first 1 / 0.8 : 0.2, then
    # 1.25 : 0.2 : 0.25 : 0.3125, all over their sum 2.0125
    expected = torch.tensor([1.25, 0.2, 0.25, 0.3125]).expand(2, 4) / 2.0125
    torch.testing.assert_close(fits.gammas(network), expected)


def test_absent_frames_are_remembered_with_an_empty_mask_up_to_a_limit(
    network: LWLNetwork, clip: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    visible = torch.ones(5, 2, dtype=torch.int8)
    visible[1:3, 1] = 0
    fits = Fits(network, monkeypatch)
    follow(network, clip, visible=visible, negatives=1)
    assert fits.gammas(network).tolist() == [[1, 1, 1, 1], [1, 1, 0, 1]]
    empty = network.label_encoder(torch.zeros(1, 32, 48)).label[0].movedim(0, -1)
    torch.testing.assert_close(fits.samples[-1].e[1, 1], empty)
    assert not torch.allclose(fits.samples[-1].e[0, 1], empty)


def test_absent_frames_weigh_as_at_test_time(
    network: LWLNetwork, clip: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    visible = torch.ones(5, 2, dtype=torch.int8)
    visible[1:3, 1] = 0
    fits = Fits(network, monkeypatch)
    follow(network, clip, visible=visible, negatives=2, gammas_as_at_test=True)
    # first 1 / 0.8 and fourth 0.2 over their sum; the absences share 0.25 of their own
    expected = torch.tensor([1.25 / 1.45, 0.125, 0.125, 0.2 / 1.45])
    torch.testing.assert_close(fits.gammas(network)[1], expected)


def test_the_head_decides_where_the_truth_does_not(
    network: LWLNetwork, clip: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = network.presence_head
    assert head is not None
    torch.nn.init.zeros_(head.output.weight)
    torch.nn.init.constant_(head.output.bias, -1.0)  # nothing is visible
    fits = Fits(network, monkeypatch)
    follow(network, clip, negatives=2, known_absence=0.0)
    assert fits.gammas(network).tolist() == [[1, 1, 1, 0]] * 2
    network.eval()
    follow(network, clip, negatives=2, known_absence=1.0)  # the truth is for training only
    assert fits.gammas(network).tolist() == [[1, 1, 1, 0]] * 2


def test_corrections_put_the_true_mask_into_the_memory(
    network: LWLNetwork, clip: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    visible = torch.ones(5, 2, dtype=torch.int8)
    visible[2] = 0
    fits = Fits(network, monkeypatch)
    follow(network, clip, visible=visible, corrections=1.0, gammas_as_at_test=True)
    true = network.label_encoder(clip[1][0, :1]).label[0].movedim(0, -1)
    kept = fits.samples[-1].e[0]
    torch.testing.assert_close(kept[1], true)
    assert not torch.allclose(kept[2], true)  # nobody corrects what is not there
    torch.testing.assert_close(kept[3], true)
    network.eval()
    follow(network, clip, visible=visible, corrections=1.0)
    assert not torch.allclose(fits.samples[-1].e[0, 1], true)


def test_gradients_stop_at_the_last_update(
    network: LWLNetwork, clip: tuple[Tensor, Tensor]
) -> None:
    def gradient(**settings: bool) -> Tensor:
        network.zero_grad()
        follow(network, clip, **settings).logits[-1].sum().backward()
        assert network.learner.kappa.grad is not None
        return network.learner.kappa.grad.clone()

    through_all, through_one = gradient(), gradient(last_update_only=True)
    assert through_one.abs() > 0
    assert not torch.allclose(through_all, through_one)


def test_a_clip_starts_from_a_box_only_where_its_mask_is_usable(
    network: LWLNetwork, clip: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = torch.tensor([[10.0, 8.0, 20.0, 16.0]]).expand(2, 4)
    soft = clip[1][0].clone()
    soft[0] = soft[0] * 0.8  # a probability of 0.8 on the object
    soft[1, :, 20:] = 0  # half of the object
    soft[1, 20:] = 0  # and less: three eighths
    logits = soft.clamp(1e-4, 1 - 1e-4).logit()
    monkeypatch.setattr(rollout, "segment_boxes", lambda *_: logits)
    fits = Fits(network, monkeypatch)
    found = follow(network, clip, boxes=boxes, box_starts=1.0)
    assert found.box_logits is logits
    expected = network.label_encoder(torch.stack([logits[0].sigmoid(), clip[1][0, 1]])).label
    torch.testing.assert_close(fits.samples[0].e[:, 0], expected.movedim(1, -1))


def test_the_box_branch_leaves_the_trunk_alone(
    network: LWLNetwork, clip: tuple[Tensor, Tensor]
) -> None:
    boxes = torch.tensor([[10.0, 8.0, 20.0, 16.0]]).expand(2, 4)
    found = follow(network, clip, boxes=boxes)
    assert found.box_logits is not None
    found.box_logits.sum().backward()
    assert all(parameter.grad is None for parameter in network.trunk.parameters())
    box_encoder = network.box_encoder
    assert box_encoder is not None
    assert any(parameter.grad is not None for parameter in box_encoder.parameters())


def test_nonsense_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"corrections must be in \[0, 1\], got 1.5"):
        RolloutConfig(corrections=1.5)
    with pytest.raises(ConfigError, match="negatives must be at least 0"):
        RolloutConfig(negatives=-1)
