"""The training step: images to losses, features to the bank."""

from __future__ import annotations

import math

import lightning as L
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf_core.contracts import BodyModel, FeatureBank, Regressor
from nbf_core.geometry.orientation import kernel_orientation_labels
from nbf_core.types import Sample
from nbf_run.training.config import TrainOptions


class Training(L.LightningModule):
    """Regressor and bank in one module; the body model only gives labels."""

    def __init__(self, config: TrainOptions, body: BodyModel, regressor: Regressor, bank: FeatureBank) -> None:
        super().__init__()
        self.config = config
        self.regressor, self.bank = regressor, bank
        self._body = [body]  # in a list: its buffers are data of the package, not of the checkpoint

    @property
    def body(self) -> BodyModel:
        """The body model, on the device of the networks."""
        self._body[0] = self._body[0].to(self.device)
        return self._body[0]

    def training_step(self, batch: Sample, index: int) -> Tensor:
        output = self.regressor(batch.image.float() / 255)
        chosen = self._body_pixels(batch, output.features)
        background = self._background(batch, output.features)
        with torch.autocast(self.device.type, enabled=False):
            terms = self.regressor.loss(output, batch, self.body)
        # The loss compares with the memory before the update.
        terms |= self.bank.loss(*chosen, background)
        self.bank.update(*(tensor.detach() for tensor in chosen), background.detach())
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            worst = ", ".join(name for name, value in terms.items() if not torch.isfinite(value))
            raise FloatingPointError(
                f"step {self.global_step}: loss is not finite ({worst}); samples {batch.index.tolist()}"
            )
        self.log_dict({f"loss/{name}": value.detach() for name, value in terms.items()})
        self.log("loss/total", total.detach(), prog_bar=True)
        return total

    def _body_pixels(
        self, batch: Sample, features: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b i c"], Int[Tensor, "b i"], Int[Tensor, "b i"], Bool[Tensor, "b i"]]:
        """Features of random body pixels, with kernel, orientation bin, and whether the pixel is usable.

        Parts are drawn by the root of their area: by area alone forearms and feet would hardly be seen.
        """
        kernels, parts = batch.kernel_map.flatten(1), batch.part_map.flatten(1).clamp_min(0).long()
        on_body = (kernels >= 0).float()
        area = torch.zeros(len(kernels), 64, device=kernels.device).scatter_add_(1, parts, on_body)
        weight = on_body * area.gather(1, parts).clamp_min(1).rsqrt()
        empty = on_body.sum(1) == 0
        weight[empty] = 1.0  # multinomial refuses rows of zeros; these are marked invisible
        pixel = torch.multinomial(weight, self.config.samples_per_image, replacement=True)
        kernel = kernels.gather(1, pixel).long().clamp_min(0)
        with torch.no_grad():
            keypoints = self.body.keypoints(self.body(batch.params, vertices=False), "openpose-25")
            bins = self.bank.features.shape[1]
            orientation = kernel_orientation_labels(keypoints, self.body.spec.kernel_limbs, bins)
        visible = (~empty)[:, None].expand_as(kernel)
        return _gather(features, pixel), kernel, orientation.gather(1, kernel), visible

    def _background(self, batch: Sample, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
        """Features of random pixels off the body or on an occluder."""
        weight = (batch.kernel_map.flatten(1) < 0).float() + 1e-6
        return _gather(features, torch.multinomial(weight, self.bank.config.num_noise, replacement=False))

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
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        if step < self.config.warmup:
            return (step + 1) / self.config.warmup
        rest = max(1, self.config.steps - self.config.warmup)
        progress = min(1.0, (step - self.config.warmup) / rest)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2


def _gather(features: Float[Tensor, "b c h w"], pixel: Int[Tensor, "b i"]) -> Float[Tensor, "b i c"]:
    """Unit features of some pixels; normalising the whole map would cost more than the loss."""
    chosen = features.flatten(2).gather(2, pixel[:, None].expand(-1, features.shape[1], -1))
    return F.normalize(chosen.mT.float(), dim=-1)
