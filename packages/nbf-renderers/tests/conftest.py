"""Shapes in signatures are checked while testing; one thread, so that timings and results repeat."""

import torch
from jaxtyping import install_import_hook

install_import_hook("nbf_renderers", "beartype.beartype")
torch.set_num_threads(1)
