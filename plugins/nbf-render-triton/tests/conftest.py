"""One thread, so that results and timings repeat."""

import torch

torch.set_num_threads(1)
