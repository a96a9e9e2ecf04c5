"""Closed-form matting against the matrix of its definition, and on what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskcast.viz import matting
from maskcast.viz.matting import SMOOTHEST, matted

SIZE = (7, 9)


def laplacian_by_definition(picture: np.ndarray) -> np.ndarray:
    """Eq. 12 of Levin et al., entry by entry."""
    height, width = picture.shape[:2]
    matrix = np.zeros((height * width, height * width))
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            window = [
                (r, c) for r in (row - 1, row, row + 1) for c in range(column - 1, column + 2)
            ]
            colours = np.array([picture[at] for at in window])
            mean, spread = colours.mean(0), np.cov(colours.T, bias=True)
            inverse = np.linalg.inv(spread + SMOOTHEST / 9 * np.eye(3))
            for one, i in zip(colours, window, strict=True):
                for other, j in zip(colours, window, strict=True):
                    near = (1 + (one - mean) @ inverse @ (other - mean)) / 9
                    matrix[i[0] * width + i[1], j[0] * width + j[1]] += (i == j) - near
    return matrix


@pytest.fixture
def exactly(monkeypatch):
    monkeypatch.setattr(matting, "ACCURACY", 1e-6)
    monkeypatch.setattr(matting, "MOST_STEPS", 500)


@pytest.mark.parametrize("trust", [0.05, 1.0])
def test_alpha_is_the_minimum_of_the_energy(trust, exactly):
    generator = np.random.default_rng(0)
    picture = generator.uniform(0, 1, (*SIZE, 3)).astype(np.float32)
    guess = generator.uniform(0.3, 0.7, SIZE).astype(np.float32)
    unknown = np.zeros(SIZE, bool)
    unknown[1:6, 2:7] = True
    matrix = laplacian_by_definition(picture.astype(np.float64))
    free, fixed = np.flatnonzero(unknown), np.flatnonzero(~unknown)
    target = trust * guess.ravel()[free] - matrix[np.ix_(free, fixed)] @ guess.ravel()[fixed]
    expected = guess.ravel().astype(np.float64)
    expected[free] = np.linalg.solve(matrix[np.ix_(free, free)] + trust * np.eye(len(free)), target)
    found = matted(*map(torch.from_numpy, (picture, guess, unknown)), trust=trust)
    assert found.numpy().ravel() == pytest.approx(np.clip(expected, 0, 1), abs=1e-4)
    assert np.abs(expected - guess.ravel())[free].max() > 0.01


def test_mixed_colours_become_their_share(exactly):
    exact = np.tile(np.clip(np.linspace(-0.5, 1.5, 24), 0, 1), (12, 1)).astype(np.float32)
    front, back = np.array((0.9, 0.3, 0.1)), np.array((0.1, 0.4, 0.8))
    picture = (exact[..., None] * front + (1 - exact[..., None]) * back).astype(np.float32)
    guess, unknown = (exact >= 0.5).astype(np.float32), (exact > 0) & (exact < 1)
    found = matted(*map(torch.from_numpy, (picture, guess, unknown)), trust=1e-3).numpy()
    assert np.abs(found - exact).max() < 0.02
    assert np.abs(guess - exact).max() > 0.4


def test_where_all_is_known_or_too_small_the_guess_stays():
    guess = torch.rand(SIZE)
    none = torch.zeros(SIZE, dtype=torch.bool)
    assert torch.equal(matted(torch.rand(*SIZE, 3), guess, none, trust=0.1), guess)
    small = torch.rand(2, 9)
    found = matted(torch.rand(2, 9, 3), small, torch.ones(2, 9, dtype=torch.bool), trust=0.1)
    assert torch.equal(found, small)


def test_a_flat_picture_leaves_a_flat_guess():
    flat = torch.full(SIZE, 0.3)
    unknown = torch.ones(SIZE, dtype=torch.bool)
    found = matted(torch.full((*SIZE, 3), 0.5), flat, unknown, trust=0.1)
    assert torch.allclose(found, flat, atol=1e-3)
