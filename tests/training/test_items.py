"""Which items a step works on, and that each is the same wherever it is read."""

from __future__ import annotations

import pytest
import torch

from maskcast.training.items import Batches, ItemKey, Plan, SteadyItems, items_from, make_loader
from training.toy_task import TOY, ToyItems, ToyTask, with_loop


def test_processes_share_a_batch_in_the_order_one_would_have():
    """Two epochs of 3 steps of 4 items, in 2 parts; two processes side by side."""
    settings = {"steps_per_epoch": 3, "total_steps": 6, "batch_size": 4, "accumulate": 2}
    alone = list(Batches(Plan(**settings), 2))
    assert alone[0] == [ItemKey(0, 8), ItemKey(0, 9)]
    assert alone[1] == [ItemKey(0, 10), ItemKey(0, 11)]
    assert alone[2] == [ItemKey(1, 0), ItemKey(1, 1)]
    assert len(alone) == len(Batches(Plan(**settings), 2)) == 8
    shares = [list(Batches(Plan(**settings, rank=rank, processes=2), 2)) for rank in (0, 1)]
    assert [first + second for first, second in zip(*shares, strict=True)] == alone


def test_an_item_depends_on_seed_epoch_and_index_alone():
    def item(seed: int, epoch: int, index: int) -> torch.Tensor:
        epochs = [ToyItems(TOY.config, epoch) for epoch in range(3)]
        items = SteadyItems(epochs, first_epoch=0, seed=seed, length=None)
        torch.rand(1)
        return items[ItemKey(epoch, index)].value[0]

    first = item(0, 1, 2)
    assert torch.equal(item(0, 1, 2), first)
    for other in (item(1, 1, 2), item(0, 2, 2), item(0, 1, 3)):
        assert not torch.equal(other, first)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_loading_draws_nothing_and_starts_anywhere(workers: int):
    config = with_loop(workers=workers)
    plan = Plan(4, 12, 4, 1)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    items = items_from(ToyTask(config), config.loop, plan, 6)
    torch.manual_seed(1)
    loader = make_loader(items, ToyTask.collate, Batches(plan, 6), config.loop, pin=False)
    batches = list(loader)
    assert torch.equal(torch.rand(1), expected)
    assert [batch.item_keys[0] for batch in batches[:3]] == [
        ItemKey(1, 8),
        ItemKey(1, 12),
        ItemKey(2, 0),
    ]
    alone = items[ItemKey(2, 1)].value[0]
    assert torch.equal(batches[2].value[0][1], alone)


def test_only_the_epochs_to_come_are_made():
    asked: list[int] = []

    class Counts(ToyTask):
        def dataset(self, epoch: int) -> ToyItems:
            asked.append(epoch)
            return super().dataset(epoch)

    items_from(Counts(TOY.config), TOY.config.loop, Plan(4, 12, 4, 1), 5)
    assert asked == [1, 2]
