"""Losses of whole clips, and where their gradients go."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from maskcast.core.errors import ConfigError
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.training.clip_loss import (
    clip_losses,
    follow,
    given_log_probs,
    target_iou,
)


def network() -> AgameNetwork:
    torch.manual_seed(0)
    return AgameNetwork(tiny())


@cache
def clips(length: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(2, length, 3, 32, 48, generator=generator)
    labels = torch.zeros(2, length, 32, 48, dtype=torch.int64)
    for time in range(length):
        labels[:, time, 4 + 3 * time : 20 + 3 * time, 8:30] = 1
    return frames, labels


def gradients(*, recompute: bool = False, auxiliary: bool = True) -> dict[str, Tensor]:
    net = network().train()
    losses = clip_losses(net, *clips(), auxiliary=auxiliary, recompute=recompute)
    total = losses.main if losses.auxiliary is None else losses.main + losses.auxiliary
    total.backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def test_given_masks_keep_a_distance_from_certainty() -> None:
    found = given_log_probs(torch.tensor([[[True, False]]]))[0, :, 0]
    # log of 2^-23 and of 1 - 2^-23, of 1e-7; the background is one minus the target in float32
    expected = torch.tensor([[-15.942385, -1.1920930e-7], [-1.1920930e-7, -16.118095]])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_the_loss_is_a_mean_over_all_frames_the_given_one_included() -> None:
    net = network().eval()
    frames, labels = clips()
    steps = list(follow(net, frames, labels[:, 0] == 1, coarse=True))
    fine = [-step.fine.gather(1, labels[:, t, None]).mean() for t, step in enumerate(steps)]
    assert fine[0] < 2e-7
    losses = clip_losses(net, frames, labels, auxiliary=True)
    torch.testing.assert_close(losses.main, sum(fine) / 3)
    coarse = [-s.coarse.gather(1, labels[:, t, None]).mean() for t, s in enumerate(steps)]  # type: ignore[union-attr]
    torch.testing.assert_close(losses.auxiliary, sum(coarse) / 3)
    assert clip_losses(net, frames, labels, auxiliary=False).auxiliary is None


def test_void_counts_for_nothing() -> None:
    net = network().eval()
    frames, labels = clips()
    missing = labels.clone()
    missing[:, 2] = 255  # a frame without annotation
    shorter = clip_losses(net, frames[:, :2], labels[:, :2], auxiliary=False)
    torch.testing.assert_close(
        clip_losses(net, frames, missing, auxiliary=False).main, shorter.main
    )


def test_gradients_reach_the_first_frame_through_every_later_one() -> None:
    net = network().eval()
    frames, labels = clips()
    first = frames[:, 0].clone().requires_grad_()
    losses = clip_losses(
        net, torch.cat([first[:, None], frames[:, 1:]], 1), labels, auxiliary=False
    )
    (reached,) = torch.autograd.grad(losses.main, first)
    assert reached.abs().max() > 0


def test_everything_outside_the_frozen_stages_gets_a_gradient() -> None:
    found = gradients()
    trained = {name for name, p in network().named_parameters() if p.requires_grad}
    assert found.keys() == trained
    assert all(gradient.isfinite().all() for gradient in found.values())
    assert found["appearance.raw_floor"].abs().min() > 0
    # without the auxiliary loss, the coarse predictor still learns through the recurrence
    assert gradients(auxiliary=False)["fusion.coarse.weight"].abs().max() > 0


def test_recomputing_gives_the_same_gradients() -> None:
    kept, recomputed = gradients(), gradients(recompute=True)
    for name, gradient in kept.items():
        torch.testing.assert_close(recomputed[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("recompute", [False, True])
def test_the_trunk_sees_each_point_in_time_once(recompute: bool) -> None:
    net = network().train()
    losses = clip_losses(net, *clips(), auxiliary=False, recompute=recompute)
    losses.main.backward()
    norms = [m for m in net.trunk.resnet.layer4.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {int(norm.num_batches_tracked) for norm in norms} == {3}  # type: ignore[arg-type]
    assert int(net.trunk.resnet.bn1.num_batches_tracked) == 0


@pytest.mark.parametrize(("height", "width"), [(30, 48), (32, 40)])
def test_training_frames_are_not_padded(height: int, width: int) -> None:
    frames, labels = (whole[..., :height, :width] for whole in clips())
    with pytest.raises(ConfigError, match=f"multiples of 16, got {height}×{width}"):
        clip_losses(network(), frames, labels, auxiliary=False)


def test_iou_of_masks() -> None:
    one = torch.tensor([[True, True, False]])
    other = torch.tensor([[True, False, True]])
    assert target_iou(one, other).item() == pytest.approx(1 / 3)
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert target_iou(nothing, nothing).item() == 1
