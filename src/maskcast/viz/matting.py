"""Closed-form matting (Levin, Lischinski and Weiss, PAMI 2008) that a first guess holds in place.

    picture   height × width × 3   RGB, 0..1
    alpha     height × width       share of each pixel that belongs to the object, 0..1

In each window of 3×3 pixels, alpha should be an affine function of the colours. The sum of the
squared deviations is αᵀ·L·α with the matting Laplacian L (Eq. 12 there). To it the squared
deviations from a first guess are added, times a trust, and the sum is minimized over the pixels
near the contour:

    (L + trust) · α = trust · guess

Where the colours say nothing, the guess decides. L is never built: its product with α is computed
window by window.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import max_pool2d

SMOOTHEST = 1e-4
"""Variance of colours, in (0..1)², that counts as none (ε there): compression makes that much."""
ACCURACY = 3e-3
"""Share of the first residual at which the iteration ends."""
MOST_STEPS = 100


def matted(
    picture: Float32[Tensor, "height width 3"],
    guess: Float32[Tensor, "height width"],
    unknown: Bool[Tensor, "height width"],
    *,
    trust: float,
) -> Float32[Tensor, "height width"]:
    """Return alpha, which is that of the guess outside ``unknown``.

    Args:
        picture: the colours.
        guess: alpha to begin with.
        unknown: pixels whose alpha is to be found; others keep that of the guess.
        trust: weight of the guess; a window counts with up to 1.
    """
    windows = _windows(unknown)
    if not len(windows):
        return guess
    laplacian, diagonal = _laplacian(picture, windows)
    free = unknown.flatten()
    fixed = guess.flatten() * ~free
    target = (trust * guess.flatten() - laplacian(fixed)) * free

    def product(alpha: Float32[Tensor, " pixels"]) -> Float32[Tensor, " pixels"]:
        return (laplacian(alpha) + trust * alpha) * free

    alpha = _solution(product, target, guess.flatten() * free, diagonal + trust)
    return (alpha + fixed).clamp(0, 1).reshape(guess.shape)


def _windows(unknown: Bool[Tensor, "height width"]) -> Int64[Tensor, "windows 9"]:
    """Return the indices of the pixels of each window that contains an unknown pixel."""
    height, width = unknown.shape
    if height < 3 or width < 3:
        return torch.empty((0, 9), dtype=torch.int64)
    touched = max_pool2d(unknown.float()[None], 3, stride=1)[0] > 0
    rows, columns = touched.nonzero(as_tuple=True)
    steps = torch.arange(3)
    inside = (steps[:, None] * width + steps).flatten()
    return (rows * width + columns)[:, None] + inside


def _laplacian(
    picture: Float32[Tensor, "height width 3"], windows: Int64[Tensor, "windows 9"]
) -> tuple[Callable[[Tensor], Tensor], Float32[Tensor, " pixels"]]:
    """Return the product with the matting Laplacian, as a function, and its diagonal.

    A window's part is 1 − V·Vᵀ, in which the four columns of V span the affine functions.
    """
    pixels = picture.shape[0] * picture.shape[1]
    colours: Float64[Tensor, "windows 9 3"] = picture.reshape(-1, 3).double()[windows]
    colours = colours - colours.mean(1, keepdim=True)
    spread = colours.mT @ colours / 9 + SMOOTHEST / 9 * torch.eye(3, dtype=torch.float64)
    scaled = torch.linalg.solve_triangular(
        torch.linalg.cholesky(spread), colours.mT, upper=False
    )  # its squares are those of Eq. 12
    constant = torch.ones_like(scaled[:, :1])
    spanning = (torch.cat([constant, scaled], 1) / 3).float()
    flat = windows.flatten()

    def scattered(values: Float32[Tensor, "windows 9"]) -> Float32[Tensor, " pixels"]:
        return torch.zeros(pixels).index_add_(0, flat, values.flatten())

    def product(alpha: Float32[Tensor, " pixels"]) -> Float32[Tensor, " pixels"]:
        here = alpha[windows]
        shares = (spanning * here[:, None]).sum(2)
        return scattered(here - (spanning * shares[:, :, None]).sum(1))

    return product, scattered(1 - spanning.square().sum(1))


def _solution(
    product: Callable[[Tensor], Tensor],
    target: Float32[Tensor, " pixels"],
    start: Float32[Tensor, " pixels"],
    diagonal: Float32[Tensor, " pixels"],
) -> Float32[Tensor, " pixels"]:
    """Solve for alpha by conjugate gradients, preconditioned with the diagonal."""
    alpha = start.clone()
    residual = target - product(alpha)
    step = scaled = residual / diagonal
    size = first = float(residual @ scaled)
    for _ in range(MOST_STEPS):
        if size <= ACCURACY**2 * first:
            break
        moved = product(step)
        length = size / float(step @ moved)
        alpha += length * step
        residual = residual - length * moved
        scaled = residual / diagonal
        size, before = float(residual @ scaled), size
        step = scaled + size / before * step
    return alpha
