"""One process of ``test_processes.py``: ``process_worker.py RANK COUNT DIRECTORY``. Writes ``DIRECTORY/RANK.pt``.

Its two functions also run in the test itself, without torch.distributed, on the joined batches.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from line_body import make_spec
from torch import nn

from nbf_core.sampling import draw_keys, draw_pixels
from nbf_feature_banks.config import NearestMemoryConfig
from nbf_feature_banks.nearest_memory import NearestMemoryBank

KERNELS, CHANNELS, NOISE = 12, 8, 3
# How many images each process has, step by step: uneven, none at all, and another total.
SHARES = {
    1: [[5]] * 6 + [[3]],
    2: [[4, 1], [0, 5], [2, 3], [5, 0], [1, 4], [3, 2], [2, 1]],
    3: [[4, 1, 0], [0, 0, 5], [2, 1, 2], [2, 3, 0], [1, 1, 3], [3, 1, 1], [1, 1, 1]],
}
# The 51 rows of the ring hold three batches of 15 rows, or five of 9.
CONFIG = {
    "num_noise": NOISE, "max_group": 17, "momentum_end": 0.5, "momentum_steps": 4, "hold": 1,
    "weight_figure_ground": 0.5,
}  # fmt: skip


def batch_of(step: int):
    """The joined batch of a step: features, kernels, bins, visible, background."""
    images = sum(SHARES[1][step])
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(images, 20, CHANNELS, generator=generator)
    kernels = torch.randint(0, KERNELS, (images, 20), generator=generator)
    orientation = torch.randint(0, 3, (images, 20), generator=generator)
    visible = torch.rand(images, 20, generator=generator) > 0.4
    visible[-1] = False  # at times all that a process has
    if step == 3:
        visible[:] = False
    background = torch.randn(images, NOISE, CHANNELS, generator=generator)
    return [F.normalize(features, dim=-1), kernels, orientation, visible, F.normalize(background, dim=-1)]


def share_of(batch: list, step: int, rank: int, count: int) -> list:
    """The images of one process: the joined batch is all of these in the order of the ranks."""
    sizes = SHARES[count][step]
    start = sum(sizes[:rank])
    return [tensor[start : start + sizes[rank]] for tensor in batch]


def run_bank(rank: int, count: int) -> list[dict]:
    """State, loss and gradients after every step; then a step with a NaN on the last process."""
    bank = NearestMemoryBank(NearestMemoryConfig(**CONFIG), spec=make_spec(KERNELS), channels=CHANNELS)
    results = []
    for step in range(len(SHARES[1])):
        features, kernels, orientation, visible, background = share_of(batch_of(step), step, rank, count)
        leaves = [features.requires_grad_(), background.requires_grad_()]
        terms = bank.loss(leaves[0], kernels, orientation, visible, leaves[1])
        gradients = torch.autograd.grad(sum(terms.values()), leaves)
        bank.update(features.detach(), kernels, orientation, visible, background.detach())
        state = {name: value.clone() for name, value in bank.state_dict().items()}
        terms = {name: value.detach() for name, value in terms.items()}
        results.append({"state": state, "terms": terms, "gradients": gradients})
    batch = share_of(batch_of(2), 2, rank, count)
    if rank == count - 1:
        batch[4] = batch[4] * torch.nan
    try:
        bank.update(*batch)
        refused = False
    except FloatingPointError:
        refused = all(torch.equal(value, state[name]) for name, value in bank.state_dict().items())
    return [*results, {"refused": torch.tensor(refused)}]


class Network(nn.Module):
    """Colours to features, and a bank: the smallest thing that trains, with pixels drawn per image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, CHANNELS).double()
        bank = NearestMemoryBank(NearestMemoryConfig(**CONFIG), spec=make_spec(KERNELS), channels=CHANNELS)
        self.bank = bank.double()

    def forward(self, pictures, kernels, index, step):
        """Pictures [b, p, 4]; the kernel map [b, p] is -1 off the body."""
        on_body, bins = (kernels >= 0).double(), torch.zeros(len(kernels), 10, dtype=torch.long)
        body = draw_pixels(on_body, 10, draw_keys(0, step, index), replacement=True)
        other = draw_pixels(1 - on_body, NOISE, draw_keys(0, step, index, stream=1))
        kernel = kernels.gather(1, body)
        unit = F.normalize(self.layer(pictures), dim=-1)
        chosen, background = (
            unit.gather(1, pixel[..., None].expand(-1, -1, CHANNELS)) for pixel in (body, other)
        )  # fmt: skip
        batch = kernel.clamp_min(0), bins, kernel >= 0
        loss = sum(self.bank.loss(chosen, *batch, background).values())
        self.bank.update(chosen.detach(), *batch, background.detach())
        return loss


def run_training(rank: int, count: int) -> dict:
    """Losses of every step, and weights and bank at the end, of plain gradient descent."""
    network = Network()
    trained = nn.parallel.DistributedDataParallel(network, broadcast_buffers=False) if count > 1 else network
    optimiser = torch.optim.SGD(network.layer.parameters(), lr=0.3)
    generator = torch.Generator().manual_seed(5)
    losses = []
    for step, (images,) in enumerate(SHARES[1]):
        pictures = torch.randn(images, 40, 4, generator=generator, dtype=torch.float64)
        kernels = torch.randint(-8, KERNELS, (images, 40), generator=generator).clamp_min(-1)
        kernels[0] = -1  # nobody there
        batch = share_of([pictures, kernels, torch.arange(images) + 100 * step], step, rank, count)
        optimiser.zero_grad()
        loss = trained(*batch, step)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return {"losses": torch.stack(losses), "state": network.state_dict()}


def main(rank: int, count: int, directory: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=count)
    results = {"bank": run_bank(rank, count), "training": run_training(rank, count)}
    torch.save(results, directory / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
