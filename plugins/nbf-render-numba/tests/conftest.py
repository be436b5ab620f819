"""Shapes in signatures are checked while testing; one thread of torch's, so that results repeat."""

import torch
from jaxtyping import install_import_hook

install_import_hook("nbf_render_numba.renderer", "beartype.beartype")
torch.set_num_threads(1)
