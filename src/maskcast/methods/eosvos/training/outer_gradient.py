"""Gradients of the test loss of a task with respect to θ⁰ and λ (section 3.2.2, Eq. (2) to (4)).

To first order, the inner gradients g_t are constants. Then θ_T = θ⁰ − λ ⊙ Σ g_t, and with
G = ∂L_test/∂θ_T

    ∂L_test/∂θ⁰ = G        ∂L_test/∂λ_j = − Σ_{i in neuron j} G_i (Σ_t g_t)_i

``first_order`` computes this with one accumulator. ``through_autograd`` unrolls the steps, which
also allows second order for the heads. Both use the same random numbers and agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from maskcast.core.errors import ConfigError
from maskcast.core.randomness import seeded
from maskcast.methods.eosvos.inner_loop import LearnedStart, gradients_of, inner_step
from maskcast.methods.eosvos.network import Batch, ObjectNetwork
from maskcast.methods.eosvos.training.config import InnerLoopConfig

SECOND_ORDER_PART = "roi_heads."


@dataclass(frozen=True)
class OuterGradient:
    """The gradient of one task for θ_g."""

    loss: float
    """The weighted test loss; if it is not finite, the task must be ignored."""
    start: list[Tensor]
    """Gradients with respect to θ⁰."""
    rates: list[Tensor]
    """Gradients with respect to λ, in the shapes of ``LearnedStart.stored_rates``."""
    inner_losses: tuple[float, ...]
    """Losses of the inner steps."""


def first_order(
    learned: LearnedStart,
    network: ObjectNetwork,
    memory: Sequence[Batch],
    query: Batch,
    config: InnerLoopConfig,
    *,
    seed: int,
) -> OuterGradient:
    """Return the gradient of L_BPTT, Eq. (4), in closed form.

    The inner steps are those of Eq. (3); the network has the weights θ_T afterwards.

    Args:
        learned: θ_g.
        network: the network, whose weights are overwritten.
        memory: D_train, the frames of the inner steps: one batch for all steps or one for each.
        query: D_test, the frames of the test loss.
        config: settings of the inner loop.
        seed: inner step t uses ``seed`` + t, and the test loss after it ``seed`` + steps + t.
    """
    if config.second_order:
        raise ConfigError("second-order gradients have no closed form; use through_autograd")
    learned.load_into(network)
    rates = [r.detach() for r in learned.rates()]
    parameters = network.trained()
    device = parameters[0].device
    taken = [torch.zeros_like(p) for p in parameters]
    start = [torch.zeros_like(p) for p in parameters]
    per_parameter = [torch.zeros_like(r) for r in rates]
    inner_losses, outer_loss, attached = [], 0.0, True
    for step in range(1, config.inner_steps + 1):
        with seeded(seed + step, device):
            losses, gradients = gradients_of(network, memory[(step - 1) % len(memory)])
        inner_losses.append(losses["total"])
        inner_step(parameters, gradients, rates)
        torch._foreach_add_(taken, gradients)
        weight = config.weight_after(step)
        if weight:
            with seeded(seed + config.inner_steps + step, device):
                losses, gradients = gradients_of(network, query)
            outer_loss += weight * losses["total"]
            torch._foreach_mul_(gradients, weight)
            if attached:
                torch._foreach_add_(start, gradients)
            _add_rate_gradients(per_parameter, gradients, taken)
        if config.cut_after(step):
            attached = False
            torch._foreach_zero_(taken)
    stored = _stored_rate_gradients(learned, rates, per_parameter)
    return OuterGradient(outer_loss, start, stored, tuple(inner_losses))


def _add_rate_gradients(
    per_parameter: list[Tensor], outer: Sequence[Tensor], taken: Sequence[Tensor]
) -> None:
    """Add −Σ G_i (Σ g)_i over the parameters that share a rate."""
    for gradient, g, s in zip(per_parameter, outer, taken, strict=True):
        gradient.sub_((g * s).sum_to_size(gradient.shape))


def _stored_rate_gradients(
    learned: LearnedStart, rates: Sequence[Tensor], per_parameter: Sequence[Tensor]
) -> list[Tensor]:
    """Convert ∂L/∂λ of every parameter to the gradient of the stored rates."""
    if learned.log_rates:
        per_parameter = [g * rate for g, rate in zip(per_parameter, rates, strict=True)]
    if learned.level == "single":
        return [torch.stack([g.reshape(()) for g in per_parameter]).sum().reshape(1, 1)]
    if learned.level == "tensor":
        return [torch.stack([g.reshape(()) for g in per_parameter]).reshape(-1, 1)]
    return list(per_parameter)


def through_autograd(
    learned: LearnedStart,
    network: ObjectNetwork,
    memory: Sequence[Batch],
    query: Batch,
    config: InnerLoopConfig,
    *,
    seed: int,
) -> OuterGradient:
    """Return the gradient by backpropagation through the updates; see ``first_order``."""
    learned.load_into(network)
    names = [name for name, p in network.named_parameters() if p.requires_grad]
    device = next(network.parameters()).device
    rates = learned.rates()
    theta: list[Tensor] = list(learned.start)
    wanted = [*learned.start, *learned.stored_rates]
    total = [torch.zeros_like(p) for p in wanted]
    inner_losses, outer_loss = [], 0.0
    for step in range(1, config.inner_steps + 1):
        batch = memory[(step - 1) % len(memory)]
        with seeded(seed + step, device):
            loss = _loss_at(network, dict(zip(names, theta, strict=True)), batch)
        inner_losses.append(float(loss.detach()))
        gradients = _inner_gradients(loss, theta, names, second_order=config.second_order)
        theta = [p - rate * g for p, rate, g in zip(theta, rates, gradients, strict=True)]
        weight = config.weight_after(step)
        if weight:
            with seeded(seed + config.inner_steps + step, device):
                loss = _loss_at(network, dict(zip(names, theta, strict=True)), query)
            outer_loss += weight * float(loss.detach())
            outer = torch.autograd.grad(weight * loss, wanted, allow_unused=True, retain_graph=True)
            for gradient, g in zip(total, outer, strict=True):
                if g is not None:
                    gradient.add_(g)
        if config.cut_after(step):
            theta = [p.detach().requires_grad_() for p in theta]
            rates = learned.rates()
    count = len(theta)
    return OuterGradient(outer_loss, total[:count], total[count:], tuple(inner_losses))


def _loss_at(network: ObjectNetwork, theta: Mapping[str, Tensor], batch: Batch) -> Tensor:
    loss: Tensor = functional_call(_TotalLoss(network), _prefixed(theta), (batch,))
    return loss


class _TotalLoss(torch.nn.Module):
    """Returns ``network.losses(batch)["total"]`` in its forward pass, for ``functional_call``."""

    def __init__(self, network: ObjectNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        return self.network.losses(batch)["total"]


def _prefixed(theta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": value for name, value in theta.items()}


def _inner_gradients(
    loss: Tensor, theta: Sequence[Tensor], names: Sequence[str], *, second_order: bool
) -> list[Tensor]:
    """Return g_t; with second order, the gradients of the heads have a graph."""
    computed = torch.autograd.grad(
        loss, theta, create_graph=second_order, retain_graph=True, allow_unused=True
    )
    gradients = []
    for name, p, g in zip(names, theta, computed, strict=True):
        if g is None:
            gradients.append(torch.zeros_like(p))
        elif second_order and name.startswith(SECOND_ORDER_PART):
            gradients.append(g)
        else:
            gradients.append(g.detach())
    return gradients
