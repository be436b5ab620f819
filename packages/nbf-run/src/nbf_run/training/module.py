"""The training step: images to losses, features to the bank."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import lightning as L
import torch
import torch.distributed as dist
from safetensors import SafetensorError
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Regressor, Renderer
from nbf_core.errors import InputError
from nbf_core.types import RegressorOutput, Sample
from nbf_run.training.checkpoint import Checkpoint
from nbf_run.training.config import TrainOptions
from nbf_run.training.data import Unusable
from nbf_run.training.features import (
    Chosen,
    Draws,
    RenderedBody,
    background_pixels,
    kernel_pixels,
    mesh_kernels,
    nothing,
    orientation_bins,
    rendered_kernels,
    sampled_pixels,
    unlabelled,
)
from nbf_run.training.inspection import NotFinite, save_batch
from nbf_run.training.order import reseed
from nbf_run.training.state import load_optimizer


@dataclass(frozen=True)
class Start:
    """Where a run begins: steps, batches of each process and samples of all of them that are behind it."""

    step: int = 0
    batch: int = 0
    samples: int = 0
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Plan:
    """What is fixed about a run: its folder, its seed, and how many steps it has."""

    out: Path
    seed: int
    steps: int
    start: Start = Start()


class Training(L.LightningModule):
    """Regressor and bank in one module; the body model and the renderer only give labels."""

    def __init__(
        self,
        config: TrainOptions,
        plan: Plan,
        body: BodyModel,
        regressor: Regressor,
        bank: FeatureBank,
        renderer: Renderer | None = None,
    ) -> None:
        super().__init__()
        self.config, self.plan = config, plan
        self.regressor, self.bank = regressor, bank
        self.terms: list[dict[str, Tensor]] = []  # of the batches since the last step
        self.gradient_norm = 0.0
        self._batch: Sample | None = None
        # In lists: what they hold is data of their packages, not of the checkpoint.
        self._body, self._renderer = [body], [renderer]

    @property
    def body(self) -> BodyModel:
        """The body model, on the device of the networks."""
        self._body[0] = self._body[0].to(self.device)
        return self._body[0]

    @property
    def step(self) -> int:
        """Optimiser steps since the run began, those before a resume included."""
        return self.plan.start.step + self.trainer.global_step

    def training_step(self, batch: Sample | Unusable, index: int) -> Tensor:
        if isinstance(batch, Unusable):
            raise InputError(batch.reason)
        if index % self.config.accumulate == 0:
            self.terms = []
        number = self.plan.start.batch + index
        reseed(self.plan.seed, number, self.trainer.global_rank, device=self.device)
        output = self.regressor(batch.image.float() / 255)
        with torch.autocast(self.device.type, enabled=False):
            batch, chosen = self.choose(batch, output.features, Draws(self.plan.seed, number))
            terms = self.regressor.loss(output, batch, self.body)
        # The loss compares with the memory before the update.
        terms |= self.bank.loss(*chosen.given())
        total = torch.stack([*terms.values(), *self._everything(output)]).sum()
        self._batch = batch
        self._check(terms)
        self.bank.update(*chosen.detached())
        self.terms.append({name: value.detach() for name, value in (terms | {"total": total}).items()})
        return total

    def choose(self, batch: Sample, features: Tensor, draws: Draws) -> tuple[Sample, Chosen]:
        """The batch with the labels it lacked, and what the bank sees of it."""
        if batch.with_params is not None:  # the bank sees those with a body; of the others nothing is known
            known = batch.with_params
            return batch, self.choose(replace(batch[known], with_params=None), features[known], draws)[1]
        config, count = self.config, self.bank.config.num_noise
        if batch.params is None:
            return batch, nothing(features)
        with torch.no_grad():
            drawn = self._drawn(batch, features.shape[-1])
            batch = batch if drawn is None else drawn.labelled(batch)
            posed = self.body(batch.params, vertices=False)
            bins = orientation_bins(self.body, posed, self.bank.features.shape[1])
        occupied = None
        if config.kernel_features == "pixels":
            seen = sampled_pixels(features, batch, bins, self.body.spec, draws, config.samples_per_image)
        else:
            occupied = kernel_pixels(batch, posed.kernels, features.shape[-1])
            if config.kernel_features == "mesh":
                seen = mesh_kernels(features, batch, bins)
            else:
                seen = rendered_kernels(features, batch, bins, drawn)
        ground = background_pixels(features, batch, count, draws, occupied, config.background_beside)
        return batch, Chosen(*seen, ground)

    def labelled(self, batch: Sample) -> Sample:
        """The batch with the kernel map that it lacks, drawn, where there is a renderer and a true body."""
        if self._renderer[0] is None or batch.params is None or not unlabelled(batch).any():
            return batch
        return RenderedBody(self._renderer[0], self.body, batch, self.regressor.map_size).labelled(batch)

    def _drawn(self, batch: Sample, side: int) -> RenderedBody | None:
        """The true body rendered, where that is asked for or labels are missing."""
        if self.config.kernel_features != "rendered" and not unlabelled(batch).any():
            return None
        if self._renderer[0] is None:
            raise InputError("data: the samples bring no kernel maps, and there is no [renderer] to draw them")
        return RenderedBody(self._renderer[0], self.body, batch, side)

    def _everything(self, output: RegressorOutput) -> list[Tensor]:
        """Zero times every output: with several processes each parameter needs a gradient in all of them."""
        if self.trainer.world_size == 1:
            return []
        outputs = (output.rotations, output.betas, output.weak_camera, output.features, output.parts)
        return [0.0 * value.float().mean() for value in outputs]

    def _check(self, terms: dict[str, Tensor]) -> None:
        """Raise NotFinite, in all processes alike, where a term of any of them is not a number."""
        bad = ~torch.stack([value.detach() for value in terms.values()]).isfinite()
        anywhere = bad.any().float()
        if self.trainer.world_size > 1:
            dist.all_reduce(anywhere, op=dist.ReduceOp.MAX)
        if not anywhere:
            return
        worst = ", ".join(name for name, wrong in zip(terms, bad.tolist(), strict=True) if wrong)
        self._stop(f"loss is not finite ({worst or 'in another process'})", terms)

    def _stop(self, reason: str, terms: dict[str, Tensor]) -> None:
        rank, step = self.trainer.global_rank, self.step + 1
        path = self.plan.out / f"not-finite-step-{step}{f'-process-{rank}' if rank else ''}.safetensors"
        samples = self._batch.index.tolist()
        try:
            save_batch(path, self._batch, terms, step)
            where = f"the batch is in {path.name}"
        except (OSError, SafetensorError) as error:  # a full disk must not hide what went wrong
            where = f"the batch could not be saved ({' '.join(str(error).split())})"
        raise NotFinite(f"step {step}: {reason}; samples {samples}; {where}")

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        self.gradient_norm = float(norm)
        # float16 meets infinities as a rule: its scaler leaves the step out and tries a smaller scale.
        if self.config.precision != "float16" and not math.isfinite(self.gradient_norm):
            named = self.regressor.named_parameters()
            wrong = [name for name, p in named if p.grad is not None and not p.grad.isfinite().all()]
            self._stop(f"gradient is not finite ({wrong[0] if wrong else 'its norm'})", self.terms[-1])
        if self.config.clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.clip, norm)

    def configure_optimizers(self):
        config = self.config
        backbone = {p for n, p in self.regressor.named_parameters() if n.startswith("backbone.")}
        groups = []
        for chosen, rate in ((True, config.backbone_rate), (False, 1.0)):
            for decay in (True, False):
                parameters = [
                    p
                    for p in self.regressor.parameters()
                    if p.requires_grad and (p in backbone) == chosen and (p.ndim > 1) == decay
                ]
                groups.append({
                    "params": parameters,
                    "lr": config.learning_rate * rate,
                    "weight_decay": config.weight_decay * decay,
                })  # fmt: skip
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind([group for group in groups if group["params"]], betas=config.betas)
        if self.plan.start.checkpoint is not None:
            load_optimizer(optimizer, self.regressor, self.plan.start.checkpoint)
        begun, steps = self.plan.start.step, self.plan.steps
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: config.rate(step + begun, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
