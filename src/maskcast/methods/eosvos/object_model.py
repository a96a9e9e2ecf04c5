"""Fine-tune the network for an object, and detect the object with its weights.

The weights of an object are one flat float32 tensor of all trained parameters in order; ``None``
stands for the learned start.
"""

from __future__ import annotations

import copy
import logging
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.device_memory import networks_that_fit
from maskcast.core.errors import ConfigError
from maskcast.core.progress import Progress
from maskcast.core.randomness import generator_of
from maskcast.core.types import Frame
from maskcast.methods.eosvos.augmentation import augment_spatially
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import LearnedStart, fine_tune
from maskcast.methods.eosvos.network import Batch, Detection, ObjectNetwork
from maskcast.methods.eosvos.online_adaptation import AnnotatedFrame
from maskcast.methods.eosvos.targets import Target, make_empty_target, make_target

log = logging.getLogger(__name__)

ObjectWeights: TypeAlias = Float[Tensor, "parameters"] | None
ObjectBox: TypeAlias = tuple[float, float, float, float]


@dataclass
class _Loaded:
    """A network, and the object whose weights are loaded."""

    network: ObjectNetwork
    prepared: bool = False
    """Whether the fixed statistics of the learned start are loaded."""
    weights: weakref.ref[Tensor] | None = None
    is_start: bool = False
    last_used: int = 0

    def has(self, weights: ObjectWeights) -> bool:
        if weights is None:
            return self.is_start
        return self.weights is not None and self.weights() is weights


class ObjectModel:
    """Networks that objects use in turn; results do not depend on the order."""

    def __init__(
        self,
        config: EOSVOSConfig,
        learned: LearnedStart,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        progress: Progress | None = None,
    ) -> None:
        """Create the model from a learned start, which is moved to the device.

        Args:
            config, learned, device: settings of the method, learned start, device to compute on.
            dtype: data type of inference, by autocast; fine-tuning uses float32 unless
                ``autocast_fine_tuning``.
            progress: called after every fine-tuning step.

        Raises:
            ConfigError: fine-tuning in lower precision on a CPU, where torch 2.15 aborts in the
                backward pass.
        """
        lower_precision = config.autocast_fine_tuning and dtype != torch.float32
        if lower_precision and device.type == "cpu":
            raise ConfigError(
                f"fine-tuning in {dtype} is not supported on the CPU; disable "
                "autocast_fine_tuning, or use float32",
                options=("dtype",),
            )
        self.config = config
        self.dtype = dtype
        self.device = device
        self.progress = progress
        self.learned = learned.to(device).requires_grad_(False)
        rates = [rate.detach() for rate in self.learned.rates()]
        self.rates = _split_like(torch.cat([rate.flatten() for rate in rates]), rates)
        self._networks = [
            _Loaded(ObjectNetwork(config.network).to(device).to(memory_format=torch.channels_last))
        ]
        self._most_networks = config.objects_at_once or networks_that_fit(
            sum(p.nbytes for p in self._networks[0].network.parameters()), device
        )
        self._uses = 0

    @torch.inference_mode(False)
    @torch.enable_grad()  # independent of the caller's mode
    def fine_tune(
        self,
        weights: ObjectWeights,
        frames: Sequence[AnnotatedFrame],
        *,
        steps: int,
        seed: int,
        augment: bool = False,
        what: str = "fine-tuning",
    ) -> ObjectWeights:
        """Return the weights after fine-tuning on some frames; log a warning if they diverge.

        Args:
            weights: initial weights.
            frames: frames with masks, which are empty if the object is absent.
            steps, seed: number of steps; step t uses the seed ``seed`` + t.
            augment: flip, rotate and scale every frame at random in each step.
            what: name of the work, for progress and warnings.
        """
        if steps == 0:
            return weights
        loaded = self._ready(weights)
        network = loaded.network
        fixed = None if augment else self._batch(network, frames, augment=False)
        with self._autocast(self.config.autocast_fine_tuning):
            fine_tune(
                network,
                self.rates,
                lambda _step: fixed or self._batch(network, frames, augment=True),
                steps=steps,
                seed=seed,
                patience=self.config.patience,
                min_improvement=self.config.min_improvement,
                progress=self.progress,
                work=what,
                micro_batches=self.config.micro_batches,
                recompute=self.config.recompute,
            )
        tuned = torch.cat([p.detach().flatten() for p in network.trained()])
        if not bool(tuned.isfinite().all()):
            log.warning(
                "%s: the weights are not finite, so the object will not be found; the learned "
                "rates may be too large for %d steps",
                what,
                steps,
            )
        loaded.weights, loaded.is_start = weakref.ref(tuned), False
        return tuned

    def detect(
        self, weights: ObjectWeights, frame: Frame, box: ObjectBox | None, *, seed: Sequence[int]
    ) -> Detection:
        """Find the object on a frame, with proposals near ``box`` if it is given (in pixels)."""
        network = self._ready(weights).network
        with self._autocast(True):
            detection = network.detect(
                frame,
                None if box is None else frame.new_tensor(box),
                propagation=self.config.propagation,
                generator=generator_of(*seed),
            )
        return Detection(detection.probs.float(), detection.box.float(), detection.score)

    def _batch(
        self, network: ObjectNetwork, frames: Sequence[AnnotatedFrame], *, augment: bool
    ) -> Batch:
        if augment:
            pairs = [augment_spatially(i.frame, i.mask.to(torch.uint8)) for i in frames]
            targets = [make_target(label_map) for _, label_map in pairs]
            return network.prepare([frame for frame, _ in pairs], targets)
        counts = Counter(frames)
        return network.prepare(
            [item.frame for item in counts],
            [_target_of(item) for item in counts],
            list(counts.values()),
        )

    def _autocast(self, enabled: bool) -> torch.autocast:
        """Compute in ``dtype``, if that is not float32."""
        if self.dtype == torch.float32:
            return torch.autocast(self.device.type, enabled=False)
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=enabled)

    def _ready(self, weights: ObjectWeights) -> _Loaded:
        """Return a network with these weights."""
        self._uses += 1
        chosen = next((loaded for loaded in self._networks if loaded.has(weights)), None)
        if chosen is None:
            chosen = self._free_network()
            self._load(chosen, weights)
        chosen.last_used = self._uses
        return chosen

    def _free_network(self) -> _Loaded:
        unused = next((n for n in self._networks if n.last_used == 0), None)
        if unused is not None:
            return unused
        if len(self._networks) < self._most_networks:
            with torch.inference_mode(False):  # a copy, because building one draws random numbers
                self._networks.append(_Loaded(copy.deepcopy(self._networks[0].network)))
            return self._networks[-1]
        return min(self._networks, key=lambda loaded: loaded.last_used)

    @torch.no_grad()
    def _load(self, loaded: _Loaded, weights: ObjectWeights) -> None:
        if weights is None or not loaded.prepared:
            self.learned.load_into(loaded.network)
            loaded.prepared = True
        loaded.is_start = weights is None
        loaded.weights = None if weights is None else weakref.ref(weights)
        if weights is not None:
            parameters = loaded.network.trained()
            torch._foreach_copy_(parameters, _split_like(weights, parameters))


def _target_of(annotated: AnnotatedFrame) -> Target:
    label_map = annotated.mask.to(torch.uint8)
    return make_target(label_map) if bool(label_map.any()) else make_empty_target(label_map)


def _split_like(flat: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Split a flat tensor into views with the shapes of these tensors."""
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
