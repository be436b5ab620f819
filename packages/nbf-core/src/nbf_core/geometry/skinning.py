"""Forward kinematics and linear blend skinning over any leading batch (SMPL, Loper et al. 2015)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, cat, nn, tensor, zeros


class Skeleton(nn.Module):
    """A kinematic tree, its joints grouped by their distance from the root.

    A level is posed by one product, so SMPL's 24 joints take 8 products instead of 23. Positions need no
    chain at all: a joint lies at the sum of its ancestors' turned bones, one product with a constant matrix.
    """

    def __init__(self, parents: tuple[int, ...]):
        super().__init__()
        count = len(parents)
        depth = [0] * count
        chain = zeros(count, count)
        for joint in range(count):
            chain[joint, joint] = 1
            if joint:
                depth[joint] = depth[parents[joint]] + 1
                chain[joint] += chain[parents[joint]]
        levels = [[j for j in range(count) if depth[j] == d] for d in range(max(depth) + 1)]
        order = [joint for level in levels for joint in level]
        self.register_buffer("_chain", chain, persistent=False)
        self.register_buffer("_parents", tensor([0, *parents[1:]]), persistent=False)
        self.register_buffer("_order", tensor(order), persistent=False)
        self.register_buffer("_back", tensor([order.index(j) for j in range(count)]), persistent=False)
        self._sizes = [len(level) for level in levels]
        for d in range(1, len(levels)):
            above = tensor([levels[d - 1].index(parents[joint]) for joint in levels[d]])
            self.register_buffer(f"_above_{d}", above, persistent=False)

    def forward(
        self, rotations: Float[Tensor, "*b J 3 3"], joints: Float[Tensor, "*b J 3"]
    ) -> tuple[Float[Tensor, "*b J 3 3"], Float[Tensor, "*b J 3"]]:
        """World rotations and positions of the joints, the root staying where it is at rest.

        ``rotations`` are relative to the parent, ``joints`` the rest positions in metres.
        """
        levels = rotations.index_select(-3, self._order).split(self._sizes, -3)
        world = [levels[0]]
        for d in range(1, len(levels)):
            world.append(world[-1].index_select(-3, getattr(self, f"_above_{d}")) @ levels[d])
        turned = cat(world, -3).index_select(-3, self._back)
        root = joints[..., :1, :]
        bones = joints[..., 1:, :] - joints.index_select(-2, self._parents[1:])
        steps = turned.index_select(-3, self._parents[1:]) @ bones[..., None]
        return turned, self._chain @ cat([root, steps[..., 0]], -2)


def skin(
    points: Float[Tensor, "*b N 3"],
    weights: Float[Tensor, "N J"],
    world: Float[Tensor, "*b J 3 3"],
    shift: Float[Tensor, "*b J 3"],
) -> Float[Tensor, "*b N 3"]:
    """Blend the joints' rigid motions ``x -> world x + shift`` by ``weights`` and move the points.

    One product with the dense weights: with 24 joints that beats gathering the few that count.
    """
    # Columns of the blended matrices lie apart, so that the sum below runs over whole arrays.
    columns = [weights @ column for column in (*world.unbind(-1), shift)]
    x, y, z = points[..., None].unbind(-2)
    return columns[0] * x + columns[1] * y + columns[2] * z + columns[3]
