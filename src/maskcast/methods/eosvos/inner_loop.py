"""The learned values, θ⁰ and λ, and the gradient steps that use them (paper, section 3.2).

θ⁰      initial weights of every fine-tuning, one tensor per parameter of the network
λ       learning rates, one per output neuron, tensor or parameter, or one for all
step    θ ← θ − λ ⊙ ∇L(θ)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maskcast.core.errors import WeightsError
from maskcast.core.progress import Progress
from maskcast.core.randomness import seeded
from maskcast.methods.eosvos.config import INITIAL_RATE, RateLevel
from maskcast.methods.eosvos.network import Batch, ObjectNetwork

RATE_PREFIX = "log_init_lr"
START_PREFIX = "model_init_"
FIXED_PREFIX = "fixed_"
"""Prefix of the statistics of frozen normalisation, which published files do not contain."""


def rate_shape(parameter: Tensor, level: RateLevel) -> tuple[int, ...]:
    """Return the shape of λ for one parameter, unless all parameters share one rate."""
    if level == "param":
        return tuple(parameter.shape)
    return (parameter.shape[0], *(1 for _ in parameter.shape[1:]))


class LearnedStart(nn.Module):
    """Initial weights and learning rates of every fine-tuning, θ_g = {θ⁰, λ} (section 3.2.2).

    The state dict has the published keys: ``log_init_lr…`` for λ and ``model_init_…`` for θ⁰, with
    dots in parameter names written as "-". It stores λ itself, unless ``log_rates``.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        level: RateLevel = "neuron",
        log_rates: bool = False,
        initial_rate: float = INITIAL_RATE,
        generator: torch.Generator | None = None,
        fixed: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Copy θ⁰ from ``parameters`` and draw λ as initial_rate · (0.5 + U), U uniform in [0, 1).

        Args:
            parameters, fixed: what is learned of the network, and what is not, by published name.
            level: parameters that share a rate; at "single" the rate is exactly initial_rate.
            log_rates: whether λ is stored as a logarithm.
            initial_rate: mean of the initial rates.
            generator: random generator for U, on the CPU.
        """
        super().__init__()
        self.names = tuple(parameters)
        self.level: RateLevel = level
        self.log_rates = log_rates

        def drawn(shape: Sequence[int]) -> Tensor:
            return initial_rate * (0.5 + torch.rand(shape, generator=generator))

        if level == "single":
            rates = {RATE_PREFIX: torch.full((1, 1), initial_rate)}
        elif level == "tensor":
            rates = {RATE_PREFIX: drawn((len(self.names), 1))}
        else:
            rates = {
                f"{RATE_PREFIX}_{_dashed(name)}": drawn(rate_shape(value, level))
                for name, value in parameters.items()
            }
        for key, rate in rates.items():
            self.register_parameter(key, nn.Parameter(rate.log() if log_rates else rate))
        for name, value in parameters.items():
            start = nn.Parameter(value.detach().to(torch.float32, copy=True))
            self.register_parameter(START_PREFIX + _dashed(name), start)
        for name, value in (fixed or {}).items():
            self.register_buffer(FIXED_PREFIX + _dashed(name), value.detach().clone())

    @property
    def start(self) -> list[nn.Parameter]:
        """Return θ⁰ in the order of the network's parameters."""
        return [self.get_parameter(START_PREFIX + _dashed(name)) for name in self.names]

    @property
    def stored_rates(self) -> list[nn.Parameter]:
        """Return the parameters that store λ, one for all or one per tensor."""
        if self.level in ("single", "tensor"):
            return [self.get_parameter(RATE_PREFIX)]
        return [self.get_parameter(f"{RATE_PREFIX}_{_dashed(name)}") for name in self.names]

    @property
    def fixed(self) -> dict[str, Tensor]:
        """Return the statistics that are not learned, by published name."""
        return {
            key.removeprefix(FIXED_PREFIX).replace("-", "."): value
            for key, value in self.named_buffers()
        }

    def rates(self) -> list[Tensor]:
        """Return λ for every parameter of the network, in a shape that broadcasts to it."""
        stored: list[Tensor] = list(self.stored_rates)
        if self.log_rates:
            stored = [rates.exp() for rates in stored]
        if self.level == "single":
            stored = [stored[0].reshape(()) for _ in self.names]
        elif self.level == "tensor":
            stored = [row.reshape(()) for row in stored[0]]
        return stored

    def load_into(self, network: ObjectNetwork) -> None:
        """Load θ⁰ and the fixed statistics into a network."""
        start = dict(zip(self.names, self.start, strict=True))
        network.load_published({**start, **self.fixed})

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Load a state dict with the published keys.

        Raises:
            WeightsError: keys or shapes differ, or a rate is negative.
        """
        if any(key not in tensors for key, _ in self.named_buffers()):
            raise WeightsError(
                "the weights lack the statistics of the frozen normalisation, which come from "
                "COCO; add them with maskcast.methods.eosvos.published.with_coco_statistics"
            )
        try:
            self.load_state_dict(dict(tensors))
        except RuntimeError as error:
            _, *problems = map(str.strip, str(error).splitlines())
            raise WeightsError(
                "the weights do not match this e-OSVOS config", details=problems
            ) from error
        if not self.log_rates and any(bool((r < 0).any()) for r in self.stored_rates):
            raise WeightsError(
                "learning rates must not be negative; if the file has logarithms, set log_rates"
            )


def learned_start_of(
    network: ObjectNetwork,
    *,
    level: RateLevel = "neuron",
    log_rates: bool = False,
    initial_rate: float = INITIAL_RATE,
    generator: torch.Generator | None = None,
) -> LearnedStart:
    """Return a learned start with the current parameters of a network."""
    return LearnedStart(
        network.published_parameters(),
        level=level,
        log_rates=log_rates,
        initial_rate=initial_rate,
        generator=generator,
        fixed=network.fixed_values(),
    )


def _dashed(name: str) -> str:
    return name.replace(".", "-")


@torch.no_grad()
def inner_step(
    parameters: Sequence[Tensor], gradients: Sequence[Tensor], rates: Sequence[Tensor]
) -> None:
    """Compute θ ← θ − λ ⊙ ∇L(θ), Eq. (5), in place: gradient descent with a rate per neuron."""
    torch._foreach_addcmul_(list(parameters), list(gradients), list(rates), value=-1)


def gradients_of(
    network: ObjectNetwork,
    batch: Batch,
    *,
    micro_batches: bool = False,
    recompute: bool = False,
) -> tuple[dict[str, float], list[Tensor]]:
    """Return the losses of a batch at θ, and the gradients of their total.

    Args:
        network, batch: the network, and frames with targets.
        micro_batches: process one image at a time. All samples are drawn first, so that the losses
            of an image are normalised by the counts of the whole batch and the sum is the same.
        recompute: do not store activations inside the stages of the trunk.
    """
    parameters = network.trained()
    if not micro_batches or len(batch) == 1:
        losses = network.losses(batch, recompute=recompute)
        gradients = _gradients(losses["total"], parameters)
        return {name: float(loss.detach()) for name, loss in losses.items()}, gradients
    samples = network.draw_samples(batch)
    sums: dict[str, float] = {}
    total = [torch.zeros_like(p) for p in parameters]
    for image in range(len(batch)):
        losses = network.losses(batch[image], samples[image], recompute=recompute)
        torch._foreach_add_(total, _gradients(losses["total"], parameters))
        sums = {name: sums.get(name, 0.0) + float(loss.detach()) for name, loss in losses.items()}
    return sums, total


def _gradients(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [
        torch.zeros_like(p) if gradient is None else gradient
        for p, gradient in zip(parameters, gradients, strict=True)
    ]


def fine_tune(
    network: ObjectNetwork,
    rates: Sequence[Tensor],
    batch_of: Callable[[int], Batch],
    *,
    steps: int,
    seed: int,
    patience: int = 0,
    min_improvement: float = 0.0,
    progress: Progress | None = None,
    work: str = "fine-tuning",
    **how: Any,
) -> list[dict[str, float]]:
    """Fine-tune the network in place, Eq. (1): the inner loop of section 3.2 at test time.

    Args:
        network, rates: the network at its initial weights, and λ for every trainable parameter.
        batch_of: returns the batch of step t; called with the random state of the step.
        steps, seed: maximum number of steps; step t uses the seed ``seed`` + t.
        patience, min_improvement: stop when the best loss has changed by at most
            ``min_improvement`` within ``patience`` steps; a patience of 0 never stops early.
        progress, work: called after every step, with this name of the work.
        how: memory settings of ``gradients_of``.

    Returns:
        the losses before each step.
    """
    parameters = network.trained()
    device = parameters[0].device
    losses: list[dict[str, float]] = []
    best: list[float] = []
    for step in range(steps):
        with seeded(seed + step, device):
            values, gradients = gradients_of(network, batch_of(step), **how)
        inner_step(parameters, gradients, rates)
        losses.append(values)
        best.append(min(values["total"], best[-1] if best else values["total"]))
        if progress is not None:
            progress(work, step + 1, steps)
        if patience and len(best) > patience and best[-1 - patience] - best[-1] <= min_improvement:
            break
    return losses
