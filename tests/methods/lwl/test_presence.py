"""The presence head: its scalars by hand, and that it neither costs nor disturbs the network."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presence import (
    LARGEST_RESPONSE,
    Evidence,
    PresenceHead,
    describe_first,
)
from maskcast.methods.lwl.presets import tiny

TINY = tiny().network


def evidence(seed: int = 0, *, objects: int = 2) -> Evidence:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(objects, *shape, generator=generator)

    return Evidence(
        z3=drawn(8, 4, 6),
        z1=drawn(8, 16, 24),
        logits=4 * drawn(64, 96),
        x=drawn(16, 4, 6),
        scores=drawn(4, 4, 6),
        first=drawn(2 * 16 + 4),
    )


def head() -> PresenceHead:
    torch.manual_seed(0)
    return PresenceHead(8, 8, 16, width=8)


def scalars(given: Evidence) -> Tensor:
    return head()._pooled(given)[2]


def test_first_frame_is_described_by_means_under_and_beside_the_mask() -> None:
    x = torch.zeros(1, 2, 2, 2)
    x[0, 0] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    x[0, 1] = 1.0
    mask = torch.zeros(1, 4, 4)
    mask[0, :2, :2] = 1  # all of cell (0, 0)
    mask[0, 2:, 2] = 0.5  # a quarter of cell (1, 1)
    label = torch.tensor([[[[5.0, 0.0], [0.0, 10.0]]]])
    found = describe_first(x, mask, label)
    # cells weigh 1 and 1/4: (1 + 4 / 4) / 1.25 = 1.6 and (5 + 10 / 4) / 1.25 = 6; scene mean 2.5
    torch.testing.assert_close(found, torch.tensor([[1.6, 1.0, 2.5, 1.0, 6.0]]))


def test_features_of_the_first_frame_are_perfectly_alike() -> None:
    given = evidence()
    sure = torch.where(given.logits > 2, 30.0, -30.0)
    first = describe_first(given.x, (sure > 0).float(), given.scores)
    found = scalars(given._replace(logits=sure, first=first))
    likeness = found[:, 6:10]  # two centred similarities, two plain ones
    torch.testing.assert_close(likeness, torch.ones_like(likeness), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, 15], torch.ones(2), rtol=0, atol=1e-5)  # of the response


def test_an_opposite_object_is_unlike_the_first() -> None:
    x = torch.zeros(1, 16, 4, 6)
    x[0, 0, :, :3], x[0, 0, :, 3:] = 1.0, -1.0
    left = torch.full((1, 64, 96), -30.0)
    left[:, :, :48] = 30.0
    first = describe_first(x, (left > 0).float(), torch.ones(1, 4, 4, 6))
    given = evidence(objects=1)._replace(x=x, logits=-left, first=first)
    torch.testing.assert_close(scalars(given)[0, 6:9], -torch.ones(3), rtol=0, atol=1e-5)


def test_an_empty_mask_gives_finite_judgements() -> None:
    found = head()(evidence()._replace(logits=torch.full((2, 64, 96), -200.0)))
    assert found.visible.isfinite().all() and found.right.isfinite().all()


def test_a_first_label_near_zero_does_not_blow_up_the_scalars() -> None:
    given = evidence()
    first = given.first.clone()
    first[:, -4:] = 1e-9  # a tiny object: its label vanishes
    assert scalars(given._replace(first=first)).abs().max() <= LARGEST_RESPONSE


def test_objects_are_judged_one_by_one() -> None:
    given = evidence()
    together = head()(given)
    alone = head()(Evidence(*(part[1:] for part in given)))
    torch.testing.assert_close(together.visible[1:], alone.visible)
    torch.testing.assert_close(together.right[1:], alone.right)


def test_no_gradient_reaches_the_network() -> None:
    given = Evidence(*(part.requires_grad_() for part in evidence()))
    net = head()
    sum(net(given)).sum().backward()
    assert all(part.grad is None for part in given)
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_judgements_are_those_of_float32_under_autocast() -> None:
    given, net = evidence(), head()
    expected = net(given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(given)
    assert torch.equal(found.visible, expected.visible)
    assert found.right.dtype == torch.float32


def test_a_network_without_a_head_has_the_same_weights() -> None:
    torch.manual_seed(0)
    plain = LWLNetwork(TINY).state_dict()
    torch.manual_seed(0)
    judging = LWLNetwork(replace(TINY, presence_head=True)).state_dict()
    added = {name for name in judging if name.startswith("presence_head.")}
    assert added and judging.keys() - added == plain.keys()
    assert all(torch.equal(plain[name], judging[name]) for name in plain)
