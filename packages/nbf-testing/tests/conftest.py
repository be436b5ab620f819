"""One thread, so that results repeat."""

import torch

torch.set_num_threads(1)
