"""The network as a whole: copies and parts of a batch, recomputing, propagation, strange files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.core.errors import WeightsError
from maskcast.core.randomness import seeded
from maskcast.methods.eosvos.inner_loop import gradients_of
from maskcast.methods.eosvos.mask_rcnn import published_key

from . import small


def test_published_names():
    assert published_key("backbone.fpn.inner_blocks.2.0.bias") == "backbone.fpn.inner_blocks.2.bias"
    assert published_key("rpn.head.conv.0.0.weight") == "rpn.head.conv.weight"
    assert published_key("roi_heads.mask_head.0.0.weight") == "roi_heads.mask_head.mask_fcn1.weight"
    assert published_key("backbone.body.layer1.0.conv1.weight") == (
        "backbone.body.layer1.0.conv1.weight"
    )


def test_copies_of_a_frame_count_like_the_frame_given_several_times():
    network = small.network().double()
    once = gradients_of(network, small.batch(network, 0, 1, copies=(2, 1)))
    apart = gradients_of(network, small.batch(network, 0, 0, 1))
    assert once[0] == pytest.approx(apart[0])
    for mine, theirs in zip(once[1], apart[1], strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("sampled", [8, small.EVERYTHING])
def test_image_by_image_gives_the_gradient_of_the_whole_batch(sampled):
    network = small.network(sampled_anchors=sampled, sampled_regions=sampled).double()
    batch = small.batch(network, 0, 1, 2, copies=(1, 2, 1))
    with seeded(5):
        whole = gradients_of(network, batch)
    with seeded(5):
        parts = gradients_of(network, batch, micro_batches=True)
    assert parts[0] == pytest.approx(whole[0])
    for mine, theirs in zip(parts[1], whole[1], strict=True):
        torch.testing.assert_close(mine, theirs)


def test_box_values_are_regressed_in_the_order_of_the_batch():
    network = small.network()
    batch = small.batch(network, 0)
    plain, other = (
        network.draw_samples(given).regions[0].deltas
        for given in (batch, replace(batch, box_order=(1, 0, 3, 2)))
    )
    assert torch.equal(other, plain[:, [1, 0, 3, 2]]) and not torch.equal(other, plain)
    assert replace(batch, box_order=(1, 0, 3, 2))[0].box_order == (1, 0, 3, 2)


def test_recomputed_activations_give_the_same_gradient():
    network = small.network()
    batch = small.batch(network, 0)
    kept, again = gradients_of(network, batch), gradients_of(network, batch, recompute=True)
    assert kept[0] == again[0]
    for mine, theirs in zip(kept[1], again[1], strict=True):
        torch.testing.assert_close(mine, theirs)


def test_detection_finds_nothing_above_an_impossible_score():
    network = small.network(score_threshold=1.0)
    found = network.detect(small.frame(), torch.tensor([10.0, 8.0, 34.0, 28.0]))
    assert not found.probs.any() and not found.box.any() and found.score == 0


def test_detection_leaves_the_network_in_its_mode():
    network = small.network()
    network.detect(small.frame())
    assert network.training


def test_propagated_boxes_change_what_is_looked_at():
    network = small.network()
    box = torch.tensor([10.0, 8.0, 34.0, 28.0])
    found = {
        mode: network.detect(
            small.frame(), box, propagation=mode, generator=torch.Generator().manual_seed(0)
        ).box
        for mode in ("off", "extend", "replace")
    }
    assert not torch.equal(found["off"], found["replace"])
    inside = found["replace"] - torch.tensor([10.0, 8.0, 34.0, 28.0])
    assert inside.abs().max() < 12  # looked at around the box alone


def test_weights_that_do_not_fit_are_refused():
    network = small.network()
    tensors = {published_key(name): value for name, value in network.state_dict().items()}
    missing = dict(list(tensors.items())[1:])
    with pytest.raises(WeightsError, match="1 tensors missing"):
        network.load_published(missing)
    tensors["backbone.body.conv1.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError, match=r"conv1.weight has shape \(1,\)"):
        network.load_published(tensors)


def test_weights_that_change_inside_autocast_are_not_taken_from_its_cache():
    network = small.network()
    batch = small.batch(network, 0)
    with torch.autocast("cpu", torch.bfloat16):
        found = []
        for _ in range(2):
            found.append(float(network.losses(batch)["loss_mask"].detach()))
            with torch.no_grad():
                network.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(-3)
    assert found[1] > 1.1 * found[0]
