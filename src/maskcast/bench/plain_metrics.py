"""J and F implemented plainly from their definition: whole frames, one OpenCV dilation per contour.

Only the benchmark of the metrics uses this module, for comparison.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def plain_region_similarity(
    prediction: NDArray[np.bool_], ground_truth: NDArray[np.bool_]
) -> float:
    intersection = np.sum(prediction & ground_truth)
    union = np.sum(prediction | ground_truth)
    return 1.0 if union == 0 else float(intersection / union)


def plain_contour_accuracy(prediction: NDArray[np.bool_], ground_truth: NDArray[np.bool_]) -> float:
    radius = int(np.ceil(0.008 * np.linalg.norm(ground_truth.shape)))
    predicted, true = plain_contour(prediction), plain_contour(ground_truth)
    disk = plain_disk(radius)
    predicted_grown = cv2.dilate(predicted.astype(np.uint8), disk) > 0
    true_grown = cv2.dilate(true.astype(np.uint8), disk) > 0
    predicted_size, true_size = np.sum(predicted), np.sum(true)
    if predicted_size == 0 or true_size == 0:
        return float(predicted_size == true_size)
    precision = np.sum(predicted & true_grown) / predicted_size
    recall = np.sum(true & predicted_grown) / true_size
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def plain_contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels that differ from the right, lower or lower right neighbour."""
    right, below, corner = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1] = mask[:, 1:]
    below[:-1] = mask[1:]
    corner[:-1, :-1] = mask[1:, 1:]
    corner[-1, :-1] = mask[-1, 1:]
    corner[:-1, -1] = mask[1:, -1]
    contour: NDArray[np.bool_] = (mask ^ right) | (mask ^ below) | (mask ^ corner)
    return contour


def plain_disk(radius: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk: NDArray[np.uint8] = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    return disk
