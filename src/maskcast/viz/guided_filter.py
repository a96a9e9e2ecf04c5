"""The guided filter (He, Sun and Tang, ECCV 2010): smooth an image along the edges of a picture.

    guide    height × width × 3   RGB, 0..1
    values   height × width

In every square window the result is an affine function of the guide's colours, so that its edges
lie where those of the guide lie. Sums over windows take the same time for every radius. The
coefficients of large windows change slowly, so that blocks of pixels can share them (He and Sun,
arXiv:1505.00996).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


class GuidedFilter:
    """The filter of one picture and radius, for any number of images.

    Args:
        guide: the picture.
        radius: half the side of a window, in pixels.
        epsilon: variance of colours, in (0..1)², below which a window is smoothed as a whole.
        step: side of the blocks that share coefficients, in pixels.
    """

    def __init__(
        self,
        guide: Float[np.ndarray, "height width 3"],
        radius: int,
        epsilon: float,
        *,
        step: int = 1,
    ) -> None:
        self._guide = guide.astype(np.float64)
        self._coarse = _reduced(self._guide, step)
        self._step = step
        self._radius = max(1, round(radius / step))
        self._count = window_sums(np.ones(self._coarse.shape[:2]), self._radius)
        self._mean = self._window_means(self._coarse)
        products = self._coarse[..., :, None] * self._coarse[..., None, :]
        spread = self._window_means(products)
        spread -= self._mean[..., :, None] * self._mean[..., None, :]
        self._inverse = np.linalg.inv(spread + epsilon * np.eye(3))

    def __call__(
        self, values: Float[np.ndarray, "height width"]
    ) -> Float[np.ndarray, "height width"]:
        """Return the filtered image. Eqs. (19) to (21)."""
        coarse = _reduced(values, self._step)
        mean = self._window_means(coarse)
        shared = self._window_means(self._coarse * coarse[..., None])
        shared -= self._mean * mean[..., None]
        slope = np.einsum("hwij,hwj->hwi", self._inverse, shared)
        offset = mean - (slope * self._mean).sum(axis=2)
        slopes, offsets = (
            _enlarged(self._window_means(one), self._step, values.shape) for one in (slope, offset)
        )
        return np.asarray((slopes * self._guide).sum(axis=2) + offsets)

    def _window_means(self, values: np.ndarray) -> np.ndarray:
        count = self._count.reshape(*self._count.shape, *[1] * (values.ndim - 2))
        return np.asarray(window_sums(values, self._radius) / count)


def _reduced(values: np.ndarray, step: int) -> np.ndarray:
    """Return the means of blocks of pixels; those at the end may be smaller."""
    if step == 1:
        return values
    height, width, *others = values.shape
    sides = [(0, -height % step), (0, -width % step), *[(0, 0)] * len(others)]
    padded = np.pad(values, sides, mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    return np.asarray(padded.reshape(rows, step, columns, step, *others).mean(axis=(1, 3)))


def _enlarged(values: np.ndarray, step: int, size: tuple[int, ...]) -> np.ndarray:
    """Return an image of this size whose blocks of pixels have the values."""
    if step == 1:
        return values
    return values.repeat(step, axis=0).repeat(step, axis=1)[: size[0], : size[1]]


def window_sums(
    values: Float[np.ndarray, "height width ..."], radius: int
) -> Float[np.ndarray, "height width ..."]:
    """Return the sum over the square of side ``2·radius + 1`` around each pixel, inside the image.

    Args:
        values: an image, of any number of channels.
        radius: half the side of a square, in pixels.
    """
    sums = np.asarray(values, dtype=np.float64)
    for axis in (0, 1):
        length = sums.shape[axis]
        padding = [(1, 0) if other == axis else (0, 0) for other in range(sums.ndim)]
        total = np.pad(np.cumsum(sums, axis=axis), padding)
        ends = np.arange(length)
        last = np.minimum(ends + radius + 1, length)
        first = np.maximum(ends - radius, 0)
        sums = total.take(last, axis=axis) - total.take(first, axis=axis)
    return sums
