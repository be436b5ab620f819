"""``pare-coke``: one network for the first estimate and for the feature map (3DNBF, section 3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from nbf_core.contracts import BodyModel, Converted
from nbf_core.types import BodySpec, RegressorOutput, Sample
from nbf_regressors.config import PareCokeConfig
from nbf_regressors.losses import supervised_losses
from nbf_regressors.network import PareCokeNetwork
from nbf_regressors.published import convert


class PareCoke(PareCokeNetwork):
    """The network for a body model, and what it is trained by."""

    def __init__(self, config: PareCokeConfig, spec: BodySpec) -> None:
        super().__init__(config, len(spec.joint_names), spec.shapes)

    def loss(self, output: RegressorOutput, sample: Sample, body: BodyModel) -> dict[str, Float[Tensor, ""]]:
        """See the contract; the terms are described in ``nbf_regressors.losses``."""
        return supervised_losses(output, sample, body, self.config.loss)

    @classmethod
    def from_published(cls, tensors: Mapping[str, Tensor]) -> Converted:
        """See ``nbf_core.contracts.TakesPublished``: 3DNBF's checkpoints with ResNet-50 and HRNet-W32."""
        return convert(tensors)
