"""Resize maps with taps per axis, and merge logits; the same numbers as PyTorch's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maskcast.methods.onnx_runtime.prompts import Array, Size


class Taps(NamedTuple):
    """Source positions and their weights for every new position of an axis, taps × length."""

    positions: Array
    weights: Array


def bilinear(length: int, new: int) -> Taps:
    """Return the taps of bilinear interpolation with half-pixel centres."""
    scale = np.float32(length) / np.float32(new)
    at = np.maximum((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - 0.5, 0)
    first = np.minimum(at.astype(np.int64), length - 1)
    share = (at - first).astype(np.float32)
    return Taps(np.stack([first, np.minimum(first + 1, length - 1)]), np.stack([1 - share, share]))


def antialiased(length: int, new: int) -> Taps:
    """Return the taps of a bilinear reduction with antialiasing, a triangle filter."""
    scale = length / new
    centre = scale * (np.arange(new) + 0.5)
    first = np.maximum((centre - scale + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + scale + 0.5).astype(np.int64), length)
    positions = first + np.arange((stop - first).max())[:, None]
    weights = np.maximum(1 - np.abs((positions - centre + 0.5) / scale), 0) * (positions < stop)
    weights = (weights / weights.sum(axis=0)).astype(np.float32)
    return Taps(np.minimum(positions, length - 1), weights)


def area(length: int, new: int) -> Taps:
    """Return the taps of the mean over the pixels that a new pixel covers or touches."""
    first = np.arange(new) * length // new
    stop = -(-(np.arange(new) + 1) * length // new)
    positions = first + np.arange((stop - first).max())[:, None]
    weights = ((positions < stop) / (stop - first)).astype(np.float32)
    return Taps(np.minimum(positions, length - 1), weights)


def resample(maps: Array, rows: Taps, columns: Taps) -> Array:
    """Resize the last two axes."""
    result: Array = maps[..., rows.positions[0], :] * rows.weights[0][:, None]
    for at, weight in zip(rows.positions[1:], rows.weights[1:], strict=True):
        result += maps[..., at, :] * weight[:, None]
    maps, result = result, result[..., columns.positions[0]] * columns.weights[0]
    for at, weight in zip(columns.positions[1:], columns.weights[1:], strict=True):
        result += maps[..., at] * weight
    return result


def resize(maps: Array, size: Size) -> Array:
    """Resize the last two axes bilinearly, with half-pixel centres."""
    if maps.shape[-2:] == size:
        return maps
    return resample(maps, bilinear(maps.shape[-2], size[0]), bilinear(maps.shape[-1], size[1]))


def sigmoid(logits: Array) -> Array:
    """Return 1 / (1 + exp(-logits))."""
    with np.errstate(over="ignore"):
        result: Array = 1 / (1 + np.exp(-logits))
    return result


OUTSIDE_LOGIT = -100.0


def aggregate_logits(logits: Array) -> Array:
    """Merge logits of objects, objects × height × width, to probabilities of the objects."""
    inside: Array = np.any(logits > OUTSIDE_LOGIT, axis=0)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    probs = np.zeros_like(logits)
    if not len(rows):
        return probs
    region = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inner = logits[:, region[0], region[1]]
    low, high = np.float32(1e-7), np.float32(1 - 1e-7)
    background = np.clip(sigmoid(-inner).prod(axis=0), low, high)
    background = np.log(background / (1 - background))
    top = np.maximum(background, inner.max(axis=0))
    odds = np.exp(inner - top)
    probs[:, region[0], region[1]] = odds / (np.exp(background - top) + odds.sum(axis=0))
    return probs
