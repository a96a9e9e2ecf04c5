"""The 2019 behaviours, and what is relied upon in whichever torchvision is installed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import project_masks_on_boxes
from torchvision.models.detection.rpn import concat_box_prediction_layers

from maskcast.core.errors import FrameError
from maskcast.methods.eosvos.mask_rcnn import RealStrideAnchors, masks_in_boxes

from . import small


def test_anchor_distance_on_the_coarsest_level_is_a_real_number():
    anchors = RealStrideAnchors(((512,),), ((1.0,),))
    images = ImageList(torch.zeros(1, 3, 736, 64), [(736, 64)])
    boxes = anchors(images, [torch.zeros(1, 1, 12, 1)])[0]
    # 736 / 12 = 61.33; integer division would say 61
    assert boxes[1, 1] - boxes[0, 1] == pytest.approx(736 / 12, abs=1e-4)


def test_kept_anchors_are_those_of_the_present_size():
    anchors = RealStrideAnchors(((32,),), ((1.0,),))

    def of_height(rows: int) -> torch.Tensor:
        images = ImageList(torch.zeros(1, 3, 32 * rows, 32), [(32 * rows, 32)])
        return anchors(images, [torch.zeros(1, 1, rows, 1)])[0]

    first = of_height(2)
    assert len(of_height(3)) == 3
    assert torch.equal(of_height(2), first)


def test_suppression_orders_by_raw_logits():
    """Logits of 30 and 40 both have sigmoid 1 in single precision; the larger must win."""
    network = small.network().eval()
    rpn = network.rpn
    anchor = torch.tensor([[0.0, 0.0, 16.0, 16.0], [1.0, 0.0, 17.0, 16.0]])
    found = rpn._proposals(
        torch.tensor([[30.0, 40.0]]), torch.zeros(1, 2, 4), [anchor], [(64, 64)], [2]
    )
    assert found[0].tolist() == [[1.0, 0.0, 17.0, 16.0]]


def test_box_losses_are_those_of_2019():
    old, new = small.network(), small.network(legacy_losses=False)
    mine, theirs = (net.losses(small.batch(net, 0)) for net in (old, new))
    assert mine["loss_classifier"] == theirs["loss_classifier"]
    assert mine["loss_mask"] == theirs["loss_mask"]
    for name in ("loss_rpn_box_reg", "loss_box_reg"):
        assert mine[name] != theirs[name]


def test_box_loss_of_proposals_is_the_plain_distance():
    network = small.network()
    batch = small.batch(network, 0)
    images = ImageList(batch.frames, list(batch.sizes))
    with torch.no_grad():
        features = network.backbone(batch.frames)
        outlook = network.rpn.propose(images, features)
        (sample,) = network.rpn.sample(outlook.anchors, batch.targets)
        found = network.rpn.losses(features, [sample], 10)["loss_rpn_box_reg"]
        _, deltas = everywhere(network, features)
    rows = deltas[0, sample.positive].tolist()
    truth = sample.deltas.tolist()
    expected = sum(
        abs(a - b) for x, y in zip(rows, truth, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert float(found) == pytest.approx(expected / 10, rel=1e-5)


def everywhere(network, features):
    """Logits (images × anchors) and deltas (× 4) as torchvision's head gives them."""
    logits, deltas = network.rpn.head(list(features.values()))
    logits, deltas = concat_box_prediction_layers(logits, deltas)
    images = len(features["0"])
    return logits.reshape(images, -1), deltas.reshape(images, -1, 4)


def test_the_head_at_single_anchors_is_the_head_everywhere():
    """Values and gradients, at anchors in any order, on borders and given twice."""
    network = small.network().double()
    frames = small.batch(network, 0, 1).frames
    features = {k: v.detach().requires_grad_() for k, v in network.backbone(frames).items()}
    logits, deltas = everywhere(network, features)
    count = logits.shape[1]
    index = torch.cat([torch.tensor([count - 1, 0, 5, 5]), torch.randperm(count)[: count // 2]])
    own_logits, own_deltas = network.rpn.at_anchors([m[1] for m in features.values()], index)
    torch.testing.assert_close(own_logits, logits[1, index])
    torch.testing.assert_close(own_deltas, deltas[1, index])
    weight = torch.rand(len(index), 4, dtype=torch.float64)
    wanted = [*features.values(), *network.rpn.head.parameters()]
    dense = logits[1, index].sum() + (deltas[1, index] * weight).sum()
    sparse = own_logits.sum() + (own_deltas * weight).sum()
    found = zip(
        torch.autograd.grad(sparse, wanted), torch.autograd.grad(dense, wanted), strict=True
    )
    for mine, theirs in found:
        torch.testing.assert_close(mine, theirs)


def test_every_loss_has_its_effect():
    found = []
    for loss in ("lovasz_hinge", "lovasz_softmax", "bce"):
        network = small.network(mask_loss=loss)
        found.append(network.losses(small.batch(network, 0))["loss_mask"].item())
    assert len(set(found)) == 3


def test_group_and_frozen_normalisation_differ_in_what_is_trained():
    grouped, frozen = small.network(), small.network(norm="frozen_bn")
    norms = [name for name in grouped.published_parameters() if ".bn" in name]
    assert norms
    assert not set(norms) & set(frozen.published_parameters())
    assert replace(grouped.config, norm="frozen_bn") == frozen.config


def test_a_frozen_trunk_stays_out_of_the_parameters():
    names = small.network(train_trunk=False).published_parameters()
    assert names and not any(name.startswith("backbone") for name in names)


def test_masks_in_boxes_are_those_of_torchvision():
    masks = torch.stack([small.mask(0), small.mask(5)]).to(torch.uint8)
    boxes = torch.tensor([[9.3, 7.1, 35.0, 29.5], [0.0, 0.0, 56.0, 40.0], [20.0, 15.0, 20.4, 15.2]])
    matched = torch.tensor([0, 1, 1])
    expected = project_masks_on_boxes(masks, boxes, matched, 8)
    assert 0 < float(expected.mean()) < 1
    assert masks_in_boxes(masks, boxes, matched, 8).equal(expected)


def test_frames_of_which_nothing_would_be_left_are_refused():
    network = small.network()  # sees 96 pixels of the long side
    assert network.detect(torch.zeros(3, 1, 96)).probs.shape == (1, 96)
    with pytest.raises(FrameError, match="1×97, which is too narrow"):
        network.detect(torch.zeros(3, 1, 97))
