"""What is learned, θ⁰ and λ, and the gradient steps that use it (paper, section 3.2).

θ⁰      the start of every fine-tuning, one tensor per parameter of the network
λ       learning rates: per output neuron, tensor, parameter, or one for all
step    θ ← θ − λ ⊙ ∇L(θ)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maskcast.core.errors import WeightsError
from maskcast.core.progress import Progress
from maskcast.methods.eosvos.config import INITIAL_RATE, RateLevel
from maskcast.methods.eosvos.network import Batch, ObjectNetwork
from maskcast.methods.eosvos.randomness import seeded

LEAST_LOG_RATE = -33.0
RATE_PREFIX = "log_init_lr"
START_PREFIX = "model_init_"
FIXED_PREFIX = "fixed_"
"""Our addition: statistics of frozen normalisation, which the published files leave to COCO."""


def rate_shape(parameter: Tensor, level: RateLevel) -> tuple[int, ...]:
    """The shape of λ for one parameter where every parameter has its own."""
    if level == "param":
        return tuple(parameter.shape)
    return (parameter.shape[0], *(1 for _ in parameter.shape[1:]))


class LearnedStart(nn.Module):
    """θ_g = {θ⁰, λ}, section 3.2.2: the start and the learning rates of every fine-tuning.

    Its state dict has the published keys: ``log_init_lr…`` for λ and ``model_init_…`` for θ⁰,
    dots in parameter names written as "-". λ itself is stored, not its logarithm, unless
    ``log_rates``.
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
        """Take θ⁰ from ``parameters`` and draw λ as initial_rate · (0.5 + U).

        Args:
            parameters: of the network, by published name.
            level: what shares a rate; at "single" it is exactly initial_rate.
            generator: for U; on the CPU.
            fixed: statistics that are not learned, by published name.
        """
        super().__init__()
        self.names = tuple(parameters)
        self.level: RateLevel = level
        self.log_rates = log_rates

        def drawn(shape: Sequence[int]) -> nn.Parameter:
            rates = initial_rate * (0.5 + torch.rand(shape, generator=generator))
            return nn.Parameter(rates.log() if log_rates else rates)

        if level == "single":
            one = torch.full((1, 1), initial_rate)
            self.register_parameter(RATE_PREFIX, nn.Parameter(one.log() if log_rates else one))
        elif level == "tensor":
            self.register_parameter(RATE_PREFIX, drawn((len(self.names), 1)))
        else:
            for name, value in parameters.items():
                key = f"{RATE_PREFIX}_{_dashed(name)}"
                self.register_parameter(key, drawn(rate_shape(value, level)))
        for name, value in parameters.items():
            start = nn.Parameter(value.detach().to(torch.float32, copy=True))
            self.register_parameter(START_PREFIX + _dashed(name), start)
        for name, value in (fixed or {}).items():
            self.register_buffer(FIXED_PREFIX + _dashed(name), value.detach().clone())

    @property
    def start(self) -> list[nn.Parameter]:
        """θ⁰ in the order of the network's parameters."""
        return [self.get_parameter(START_PREFIX + _dashed(name)) for name in self.names]

    @property
    def stored_rates(self) -> list[nn.Parameter]:
        """The parameters that hold λ, one for all or one per tensor."""
        if self.level in ("single", "tensor"):
            return [self.get_parameter(RATE_PREFIX)]
        return [self.get_parameter(f"{RATE_PREFIX}_{_dashed(name)}") for name in self.names]

    @property
    def fixed(self) -> dict[str, Tensor]:
        """Statistics that are not learned, by published name."""
        return {
            key.removeprefix(FIXED_PREFIX).replace("-", "."): value
            for key, value in self.named_buffers()
        }

    def rates(self) -> list[Tensor]:
        """λ for every parameter of the network, in a shape that broadcasts to it."""
        stored: list[Tensor] = list(self.stored_rates)
        if self.log_rates:
            stored = [rates.exp() for rates in stored]
        if self.level == "single":
            stored = [stored[0].reshape(()) for _ in self.names]
        elif self.level == "tensor":
            stored = [row.reshape(()) for row in stored[0]]
        return stored

    @torch.no_grad()
    def clamp_rates(self, max_rate: float | None = None) -> None:
        """Keep 0 ≤ λ ≤ max_rate; done after every outer step."""
        for rates in self.stored_rates:
            if self.log_rates:
                ceiling = None if max_rate is None else torch.tensor(max_rate).log().item()
                rates.clamp_(LEAST_LOG_RATE, ceiling)
            else:
                rates.clamp_(0, max_rate)

    def load_into(self, network: ObjectNetwork) -> None:
        """Set the network to θ⁰ and the fixed statistics."""
        start = dict(zip(self.names, self.start, strict=True))
        network.load_published({**start, **self.fixed})

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Load a state dict of the published form.

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
    """A learned start that begins at the network's present parameters."""
    parameters = network.published_parameters()
    return LearnedStart(
        parameters,
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
    """θ ← θ − λ ⊙ ∇L(θ), Eq. (5), in place: plain gradient descent, a rate per neuron."""
    torch._foreach_addcmul_(list(parameters), list(gradients), list(rates), value=-1)


def gradients_of(
    network: ObjectNetwork,
    batch: Batch,
    *,
    micro_batches: bool = False,
    recompute: bool = False,
) -> tuple[dict[str, float], list[Tensor]]:
    """Losses of a batch and the gradients of their total.

    Args:
        micro_batches: one image at a time in memory. All draws are made first, so that every
            image is weighed by the counts of the whole batch and the sum is the same.
        recompute: hold no activations of the trunk.
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
    min_improvement: float = 0.001,
    progress: Progress | None = None,
    work: str = "fine-tuning",
    **how: Any,
) -> list[dict[str, float]]:
    """Fine-tune the network in place, Eq. (1): section 3.2's inner loop at test time.

    Args:
        rates: λ for every trainable parameter, in order.
        batch_of: the batch of step t; called inside the seeded block of its step.
        seed: step t draws from seed + t.
        patience: stop when the best loss moved by at most ``min_improvement`` over so many
            steps; 0: never.
        progress: called after every step.
        work: how progress calls it.
        how: memory settings of ``gradients_of``.

    Returns:
        The losses before each step.
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
