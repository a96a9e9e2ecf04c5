"""Losses of a region's mask against their definitions, pixel by pixel."""

from __future__ import annotations

import torch

from maskcast.methods.eosvos.mask_loss import (
    cross_entropy_per_region,
    lovasz_hinge_per_region,
    lovasz_probability_per_region,
)


def slow_lovasz(errors, targets):
    """The definition: sort, then add the growth of the Jaccard loss one pixel after another."""
    order = sorted(range(len(errors)), key=lambda k: -errors[k])
    total = sum(targets)
    intersection, union, before, loss = total, total, 0.0, 0.0
    for k in order:
        intersection -= targets[k]
        union += 1 - targets[k]
        jaccard = 1 - intersection / union
        loss += max(errors[k], 0.0) * (jaccard - before)
        before = jaccard
    return loss


def random_regions(seed=0, regions=3):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(regions, 4, 4, generator=generator, dtype=torch.float64)
    m = torch.rand(regions, 4, 4, generator=generator, dtype=torch.float64)
    return z, torch.where(m < 0.3, 0.0, torch.where(m > 0.7, 1.0, m))


def test_hinge_follows_the_definition():
    z, m = random_regions()
    expected = [
        slow_lovasz([1 - a * (2 * b - 1) for a, b in zip(x, y, strict=True)], y)
        for x, y in zip(z.flatten(1).tolist(), m.flatten(1).tolist(), strict=True)
    ]
    found = lovasz_hinge_per_region(z, m)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_probability_variant_follows_the_definition():
    z, m = random_regions(1)
    expected = [
        slow_lovasz(
            [abs(b - 1 / (1 + 2.718281828459045**-a)) for a, b in zip(x, y, strict=True)], y
        )
        for x, y in zip(z.flatten(1).tolist(), m.flatten(1).tolist(), strict=True)
    ]
    found = lovasz_probability_per_region(z, m)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_gradient_is_that_of_finite_differences():
    z, m = random_regions(2, regions=1)
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: lovasz_hinge_per_region(x, m).sum(), (z,))


def test_left_out_pixels_do_not_count():
    z, m = random_regions(3, regions=1)
    shorter = lovasz_hinge_per_region(z[:, :2], m[:, :2])
    m[:, 2:] = 255
    torch.testing.assert_close(lovasz_hinge_per_region(z, m), shorter)
    cross_entropy = cross_entropy_per_region(z, m)
    torch.testing.assert_close(cross_entropy, cross_entropy_per_region(z[:, :2], m[:, :2]))


def test_a_region_without_valid_pixels_costs_nothing():
    z = torch.ones(1, 3, 3, requires_grad=True)
    loss = lovasz_hinge_per_region(z, torch.full((1, 3, 3), 255.0)).sum()
    loss.backward()
    assert loss == 0
    assert not z.grad.any()
