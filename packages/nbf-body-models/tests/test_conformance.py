"""The licensed bodies keep the contract of body models, on made-up bodies in their files."""

import numpy as np
import pytest
from miniature import make_arrays, make_regressors, write_tree

from nbf_body_models.body import SmplBody, SmplhBody, SmplxBody
from nbf_testing.body_models import BodyModelConformance


class TestSmpl(BodyModelConformance):
    mirror_tolerance = None  # the blend shapes of the made-up bodies are random
    pose_blend_shapes = True
    body, options = SmplBody, {}

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory):
        self.folder = self.once("folder", lambda: tmp_path_factory.mktemp("body_models"))

    def make_body(self):
        return self.body(self.once("config", self._config))

    def _config(self):
        folder, kind = self.folder, self.body.kind
        arrays = make_arrays(kind, shapes=20 if kind == "smplx" else 10)  # SMPL-X's hold expressions too
        write_tree(folder, kind, arrays, suffix=".npz")
        regressors = {}
        for name, regressor in make_regressors(arrays["v_template"]).items():
            regressors[f"regressor_{name}"] = folder / f"{kind}_{name}.npy"
            np.save(regressors[f"regressor_{name}"], regressor)
        if kind == "smplx":
            regressors = {}
        return self.body.config_class(path=folder, kernel_count=120, **regressors, **self.options)


class TestSmplh(TestSmpl):
    body = SmplhBody


class TestSmplx(TestSmpl):
    body, options = SmplxBody, {"joints": "all", "expressions": 3}
