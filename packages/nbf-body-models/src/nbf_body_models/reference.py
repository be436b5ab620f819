"""The same body posed by the package smplx (non-commercial licence): what ours is held against."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf_body_models.body import SmplBody
from nbf_body_models.files import ModelFile, read_model
from nbf_body_models.names import JOINT_NAMES, VERTEX_NAMES
from nbf_body_models.points import named_vertices
from nbf_core.errors import PluginError
from nbf_core.types import BodyParams


class Reference:
    """smplx's model of a body's own file, read by our reader: smplx itself would unpickle it.

    Raises PluginError where the package smplx is missing.
    """

    def __init__(self, body: SmplBody, batch: int = 1):
        self.body, self.kind = body, body.kind
        model = read_model(body.model_file, body.kind)
        # It prints a warning for files of 10 shapes, to the standard output.
        self.module = _build(model, body, batch)

    def __call__(self, params: BodyParams) -> tuple[Float[Tensor, "b V 3"], Float[Tensor, "b J 3"]]:
        """Vertices and posed joints (metres) by smplx's forward; the batch is the one given at construction."""
        posed = self.module(**self._arguments(params))
        kept = len(JOINT_NAMES[self.kind])
        return posed.vertices, posed.joints[:, :kept]

    def largest_distance(self, params: BodyParams) -> float:
        """How far any vertex or joint of our body lies from smplx's, in metres."""
        with torch.no_grad():
            vertices, joints = self(params)
            ours = self.body(params)
            rows = [JOINT_NAMES[self.kind].index(name) for name in self.body.joint_names if name in self._shared]
            own = [row for row, name in enumerate(self.body.joint_names) if name in self._shared]
            apart = [(ours.vertices - vertices).norm(dim=-1), (ours.joints[:, own] - joints[:, rows]).norm(dim=-1)]
            return max(float(distance.max()) for distance in apart)

    @property
    def _shared(self) -> set[str]:
        return set(JOINT_NAMES[self.kind])

    def _arguments(self, params: BodyParams) -> dict[str, Tensor]:
        pose, names = params.body_pose, JOINT_NAMES[self.kind][1:]
        full = pose.new_zeros(len(pose), len(names), 3)
        for row, name in enumerate(self.body.joint_names[1:]):
            if name in names:
                full[:, names.index(name)] = pose[:, row]
        shapes = self.body.config.shapes
        given = {"global_orient": params.global_orient, "transl": params.transl, "betas": params.betas[:, :shapes]}
        if self.kind == "smpl":
            return given | {"body_pose": full.flatten(1)}
        given["body_pose"] = full[:, :21].flatten(1)
        given |= {"left_hand_pose": full[:, -30:-15].flatten(1), "right_hand_pose": full[:, -15:].flatten(1)}
        if self.kind == "smplx":
            face = dict(zip(("jaw_pose", "leye_pose", "reye_pose"), full[:, 21:24].unbind(1), strict=True))
            expression = params.betas[:, shapes:]
            held = self.module.expr_dirs.shape[-1]  # of a small file it takes all, whatever it is told
            given |= face | {"expression": torch.nn.functional.pad(expression, (0, held - expression.shape[1]))}
        return given


def _build(model: ModelFile, body: SmplBody, batch: int) -> Any:
    try:
        import smplx
        from smplx.utils import Struct
    except ImportError as error:
        raise PluginError(
            "the package smplx is not installed: pip install 'nbf-body-models[smplx]' (non-commercial licence)"
        ) from error
    arrays = {
        **model.others,
        "v_template": model.template,
        "shapedirs": model.directions,
        "posedirs": model.pose_directions,
        "J_regressor": model.regressor,
        "weights": model.weights,
        "kintree_table": np.array([model.parents, range(len(model.parents))]),
        "f": model.faces,
    }
    options: dict[str, Any] = {
        "num_betas": body.config.shapes,
        "batch_size": batch,
        "dtype": torch.float64 if body.spec.kernel_rest.dtype == torch.float64 else torch.float32,
    }
    if model.kind != "smpl":
        options |= {"use_pca": False, "flat_hand_mean": body.config.flat_hands}
    if model.kind != "smplx":
        made = smplx.SMPL if model.kind == "smpl" else smplx.SMPLH
        named = named_vertices(model)
        options["vertex_ids"] = {short: named[name] for short, name in VERTEX_NAMES.items()}
        return made("", data_struct=Struct(**arrays), **options)
    options |= {"num_expression_coeffs": body.config.expressions, "use_face_contour": False}
    with tempfile.TemporaryDirectory() as folder:  # this one reads files only: it gets what we have read
        path = Path(folder) / "model.npz"
        np.savez(path, **arrays)
        module = smplx.SMPLX(str(path), **options)
    named = [vertex % len(model.template) for vertex in module.vertex_joint_selector.extra_joints_idxs.tolist()]
    # It takes its own table of named vertices for granted, which another mesh does not have. They are not compared.
    module.vertex_joint_selector.extra_joints_idxs = torch.tensor(named)
    return module
