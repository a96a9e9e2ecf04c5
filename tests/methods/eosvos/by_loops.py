"""The network once more by slow loops in double precision, from the published description alone.

Boxes are lists of four numbers, masks and maps NumPy arrays. Nothing is drawn: every anchor and
region counts. Only the trunk with its pyramid is the network's own (the oracle fixes it), and
torch computes convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from maskcast.methods.eosvos.config import MaskRCNNConfig
from maskcast.methods.eosvos.mask_rcnn import with_published_keys
from maskcast.methods.eosvos.network import ObjectNetwork

Array = Any
RPN, REGION = (1, 1, 1, 1), (10, 10, 5, 5)
"""Weights of the box code."""


def resized(picture: Array, rows: int, columns: int) -> Array:
    """Bilinear, half-pixel centres, positions from the ratio of the sizes."""

    def places(old: int, new: int) -> tuple[Array, Array, Array]:
        at = np.maximum((np.arange(new) + 0.5) * old / new - 0.5, 0)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, old - 1), at - low

    top, bottom, down = places(picture.shape[-2], rows)
    left, right, across = places(picture.shape[-1], columns)
    between = picture[..., top, :] * (1 - down[:, None]) + picture[..., bottom, :] * down[:, None]
    return between[..., left] * (1 - across) + between[..., right] * across


def nearest(mask: Array, rows: int, columns: int) -> Array:
    down = np.arange(rows) * mask.shape[0] // rows
    return mask[down][:, np.arange(columns) * mask.shape[1] // columns]


def overlap(a: Array, b: Array) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(both / (areas - both))


def encoded(box: Array, anchor: Array, weights: Sequence[float]) -> Array:
    (x, y, w, h), (ax, ay, aw, ah) = middle_and_sides(box), middle_and_sides(anchor)
    code = [(x - ax) / aw, (y - ay) / ah, math.log(w / aw), math.log(h / ah)]
    return np.array(code) * weights


def decoded(code: Array, anchor: Array, weights: Sequence[float], size: Sequence[int]) -> Array:
    """The box, clipped to the frame without its padding."""
    dx, dy, dw, dh = code / np.array(weights)
    ax, ay, aw, ah = middle_and_sides(anchor)
    x, y, most = ax + dx * aw, ay + dy * ah, math.log(1000 / 16)
    w, h = aw * math.exp(min(dw, most)), ah * math.exp(min(dh, most))
    corners = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return corners.clip(0, [size[1], size[0], size[1], size[0]])


def middle_and_sides(box: Array) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def suppressed(boxes: Sequence[Array], scores: Sequence[float], threshold: float) -> list[int]:
    kept: list[int] = []
    for one in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(overlap(boxes[one], boxes[other]) <= threshold for other in kept):
            kept.append(one)
    return kept


def pooled(maps: Array, box: Array, scale: float, cells: int, points: int | None = 2) -> Array:
    """RoIAlign with unaligned corners; without a number of points one per pixel of the cell."""
    x1, y1, x2, y2 = box * scale
    width, height = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    down, across = points or math.ceil(height / cells), points or math.ceil(width / cells)
    ys = y1 + (np.arange(cells * down) + 0.5) * height / cells / down
    xs = x1 + (np.arange(cells * across) + 0.5) * width / cells / across
    read = np.array([[read_at(maps, y, x) for x in xs] for y in ys])
    return read.reshape(cells, down, cells, across, -1).mean(axis=(1, 3)).transpose(2, 0, 1)


def read_at(maps: Array, y: float, x: float) -> Array:
    rows, columns = maps.shape[-2:]
    if not (-1 <= y <= rows and -1 <= x <= columns):
        return np.zeros(len(maps))
    y, x = min(max(y, 0.0), rows - 1), min(max(x, 0.0), columns - 1)
    top, left = int(y), int(x)
    bottom, right, down, across = min(top + 1, rows - 1), min(left + 1, columns - 1), y % 1, x % 1
    upper = maps[:, top, left] * (1 - across) + maps[:, top, right] * across
    lower = maps[:, bottom, left] * (1 - across) + maps[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def lovasz_hinge(z: Array, m: Array) -> float:
    pairs = [(1 - a * (2 * b - 1), b) for a, b in zip(z.flat, m.flat, strict=True) if b <= 1]
    total, shown, loss, before = sum(b for _, b in pairs), 0.0, 0.0, 0.0
    for rank, (error, b) in enumerate(sorted(pairs, key=lambda pair: -pair[0]), start=1):
        shown += b
        jaccard = 1 - (total - shown) / (total + rank - shown)
        loss, before = loss + max(error, 0) * (jaccard - before), jaccard
    return loss


def pasted(probs: Array, box: Array, rows: int, columns: int) -> Array:
    side = len(probs) + 2
    x, y, w, h = middle_and_sides(box)
    w, h = w * side / (side - 2) / 2, h * side / (side - 2) / 2
    x1, y1, x2, y2 = (int(corner) for corner in (x - w, y - h, x + w, y + h))
    patch = resized(np.pad(probs, 1), max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
    found = np.zeros((rows, columns))
    for (row, column), value in np.ndenumerate(patch):
        if 0 <= row + y1 < rows and 0 <= column + x1 < columns:
            found[row + y1, column + x1] = value
    return found


class LoopNetwork:
    """A network with the weights of another, frame by frame and region by region."""

    def __init__(self, network: ObjectNetwork) -> None:
        state = with_published_keys(network.state_dict())
        self.config: MaskRCNNConfig = network.config
        self.weights = {name: value.detach() for name, value in state.items()}
        self.backbone = network.backbone

    def layer(self, name: str, x: torch.Tensor, **how: Any) -> torch.Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.linear(x, weight, bias) if weight.dim() == 2 else F.conv2d(x, weight, bias, **how)

    def prepared(self, frames: Sequence[Array]) -> tuple[list[Array], list[tuple[int, int]]]:
        """Pyramid maps (images × channels × rows × columns) and sizes without padding."""
        mean, spread = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        sizes = []
        for frame in frames:
            height, width = frame.shape[1:]
            scale = self.config.min_side / min(height, width)
            if scale * max(height, width) > self.config.max_side:
                scale = self.config.max_side / max(height, width)
            sizes.append((math.floor(height * scale), math.floor(width * scale)))
        self.padded = [32 * math.ceil(max(size[axis] for size in sizes) / 32) for axis in (0, 1)]
        batch = np.zeros((len(frames), 3, *self.padded))
        for place, frame, (rows, columns) in zip(batch, frames, sizes, strict=True):
            normal = (frame - mean[:, None, None]) / spread[:, None, None]
            place[:, :rows, :columns] = resized(normal, rows, columns)
        with torch.no_grad():
            return [m.numpy() for m in self.backbone(torch.from_numpy(batch)).values()], sizes

    def anchors(self, maps: Sequence[Array], image: int) -> list[tuple[int, Array, float, Array]]:
        """Level, box, logit and code of every anchor."""
        found = []
        for level, (size, map_) in enumerate(zip(self.config.anchor_sizes, maps, strict=True)):
            hidden = F.relu(self.layer("rpn.head.conv", torch.from_numpy(map_[image]), padding=1))
            logits = self.layer("rpn.head.cls_logits", hidden).numpy()
            codes = self.layer("rpn.head.bbox_pred", hidden).numpy()
            down, across = (p / n for p, n in zip(self.padded, map_.shape[-2:], strict=True))
            for row, column, ratio in np.ndindex(*map_.shape[-2:], 3):
                w, h = (size * (2.0 ** (ratio - 1)) ** power for power in (-0.5, 0.5))
                box = np.round([-w / 2, -h / 2, w / 2, h / 2])
                box += [column * across, row * down, column * across, row * down]
                code = codes[4 * ratio : 4 * ratio + 4, row, column]
                found.append((level, box, logits[ratio, row, column], code))
        return found

    def proposals(
        self, anchors: Sequence[Any], size: tuple[int, int], per_level: int, most: int
    ) -> list[Array]:
        found: list[tuple[float, Array]] = []
        for level in range(5):
            own = sorted((a for a in anchors if a[0] == level), key=lambda a: -a[2])[:per_level]
            boxes = [(logit, decoded(code, box, RPN, size)) for _, box, logit, code in own]
            boxes = [b for b in boxes if min(middle_and_sides(b[1])[2:]) >= 1e-3]
            kept = suppressed([box for _, box in boxes], [logit for logit, _ in boxes], 0.7)
            found += [boxes[index] for index in kept]
        return [box for _, box in sorted(found, key=lambda pair: -pair[0])[:most]]

    def pooled(self, maps: Sequence[Array], image: int, box: Array, cells: int) -> torch.Tensor:
        side = math.sqrt(math.prod(middle_and_sides(box)[2:]))
        level = min(max(math.floor(4 + math.log2(side / 224 + 1e-6)), 2), 5)
        return torch.from_numpy(pooled(maps[level - 2][image], box, 0.5**level, cells))

    def box_head(self, maps: Sequence[Array], image: int, box: Array) -> tuple[Array, Array]:
        """Both class logits, and the box code of the object."""
        x = self.pooled(maps, image, box, self.config.box_pool).flatten()
        for name in ("fc6", "fc7"):
            x = F.relu(self.layer(f"roi_heads.box_head.{name}", x))
        logits = self.layer("roi_heads.box_predictor.cls_score", x)
        return logits.numpy(), self.layer("roi_heads.box_predictor.bbox_pred", x)[4:].numpy()

    def mask_head(self, maps: Sequence[Array], image: int, box: Array) -> Array:
        """Logits of the object."""
        x = self.pooled(maps, image, box, self.config.mask_pool)
        for number in range(1, 5):
            x = F.relu(self.layer(f"roi_heads.mask_head.mask_fcn{number}", x, padding=1))
        name = "roi_heads.mask_predictor.conv5_mask"
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        x = F.relu(F.conv_transpose2d(x, weight, bias, stride=2))
        return self.layer("roi_heads.mask_predictor.mask_fcn_logits", x)[1].numpy()

    def losses(
        self, frames: Sequence[Array], objects: Sequence[Sequence[tuple[Array, Array]]]
    ) -> dict[str, float]:
        """The five losses; ``objects`` holds box and mask (255: void) of all objects by frame."""
        maps, sizes = self.prepared(frames)
        sums = dict.fromkeys(("classifier", "box_reg", "mask", "objectness", "rpn_box_reg"), 0.0)
        anchor_count = region_count = positive_count = 0
        for image, (frame, own, size) in enumerate(zip(frames, objects, sizes, strict=True)):
            ratio = np.tile([size[1] / frame.shape[2], size[0] / frame.shape[1]], 2)
            boxes = [box * ratio for box, _ in own]
            masks = [nearest(mask, *size).astype(float) for _, mask in own]
            anchors = self.anchors(maps, image)
            table = np.array([[overlap(a[1], box) for a in anchors] for box in boxes or [[0] * 4]])
            for column, (_, anchor, logit, code) in zip(table.T, anchors, strict=True):
                best = int(column.argmax())
                claimed = bool(own) and bool((column == table.max(axis=1)).any())
                if claimed or column[best] >= 0.7:
                    sums["objectness"] += np.logaddexp(0, -logit)
                    sums["rpn_box_reg"] += abs(code - encoded(boxes[best], anchor, RPN)).sum()
                elif column[best] < 0.3:
                    sums["objectness"] += np.logaddexp(0, logit)
                else:
                    continue
                anchor_count += 1
            found = self.proposals(
                anchors, size, self.config.pre_nms_train, self.config.post_nms_train
            )
            for box in [*found, *boxes]:
                overlaps = [overlap(box, other) for other in boxes] or [0.0]
                best = int(np.argmax(overlaps))
                logits, code = self.box_head(maps, image, box)
                positive = overlaps[best] >= 0.5
                sums["classifier"] += np.logaddexp(*logits) - logits[int(positive)]
                region_count += 1
                if positive:
                    positive_count += 1
                    off = abs(code - encoded(boxes[best], box, REGION))
                    sums["box_reg"] += np.where(off < 1, off**2 / 2, off - 0.5).sum()
                    z = self.mask_head(maps, image, box)
                    m = pooled(masks[best][None], box, 1.0, len(z), None)[0].round(12)
                    sums["mask"] += lovasz_hinge(z, m)
        counts = [region_count, region_count, max(positive_count, 1), anchor_count, anchor_count]
        return {
            f"loss_{name}": value / count
            for (name, value), count in zip(sums.items(), counts, strict=True)
        }

    def detect(
        self, frame: Array, previous: Array | None, mode: str, generator: torch.Generator
    ) -> tuple[Array, Array, float]:
        """Probabilities, box in pixels of the frame, and score of the best detection."""
        config = self.config
        maps, (size,) = self.prepared([frame])
        ratio = np.tile([size[1] / frame.shape[2], size[0] / frame.shape[1]], 2)
        boxes = self.proposals(
            self.anchors(maps, 0), size, config.pre_nms_test, config.post_nms_test
        )
        if previous is not None and mode != "off":
            copies = config.post_nms_test // (1 if mode == "replace" else 2)
            box = previous * ratio
            reach = 0.1 * np.tile(middle_and_sides(box)[2:], 2) * [-1, -1, 1, 1]
            draws = [torch.rand(copies, generator=generator).numpy() for _ in range(4)]
            padded = np.tile(self.padded[::-1], 2)
            enlarged = (box + reach * np.stack(draws, axis=1)).clip(0, padded)
            boxes = [*(boxes[:copies] if mode == "extend" else ()), *enlarged]
        found = []
        for box in boxes:
            logits, code = self.box_head(maps, 0, box)
            score = float(np.exp(logits[1] - np.logaddexp(*logits)))
            refined = decoded(code, box, REGION, size)
            if score > config.score_threshold and min(middle_and_sides(refined)[2:]) >= 0.01:
                found.append((score, refined))
        if not found:
            return np.zeros(frame.shape[1:]), np.zeros(4), 0.0
        kept = suppressed([b for _, b in found], [s for s, _ in found], config.nms_threshold)
        score, box = found[kept[0]]
        probs = 1 / (1 + np.exp(-self.mask_head(maps, 0, box)))
        return pasted(probs, box / ratio, *frame.shape[1:]), box / ratio, score
