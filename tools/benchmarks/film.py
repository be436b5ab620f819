"""How steady a film is when its frames are fitted together, and when each is fitted alone.

Synthetic films: one person of one shape goes through held-out poses, with everything else as in fitting.py, whose
options are taken too. Starts are disturbed independently in each frame, as a regressor's are. Prints PA-MPJPE (24
joints, mm) and the acceleration error (mm a squared frame, relative to the root), means over films.

    python tools/benchmarks/film.py --films 2 --frames 24 --degrees 10 --hidden 3
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import fitting
import roma
import torch

from nbf_core.types import BodyParams, Camera, Observation
from nbf_fitters.config import StagedConfig
from nbf_fitters.staged import StagedFitter
from nbf_render_numba.renderer import NumbaRenderer

KEYS = 4
"""Poses that a film goes through."""


def film(frames: int, split: str, generator: torch.Generator) -> BodyParams:
    """Somebody who goes from pose to pose, halting at each, turns, and drifts across the picture."""
    keys, _ = fitting.people(KEYS, split, generator)
    time = torch.linspace(0, KEYS - 1, frames)
    index = time.long().clamp_max(KEYS - 2)
    share = time - index
    share = share * share * (3 - 2 * share)

    def between(rotations: torch.Tensor) -> torch.Tensor:
        first, second = (roma.rotvec_to_rotmat(rotations[i]) for i in (index, index + 1))
        turn = roma.rotmat_to_rotvec(first.mT @ second)
        amount = share.view(-1, *[1] * (turn.ndim - 1))
        return roma.rotmat_to_rotvec(first @ roma.rotvec_to_rotmat(amount * turn))

    # Between poses seen from anywhere people would whirl: one view, and half a radian of turning.
    yaw = torch.zeros(frames, 3)
    yaw[:, 1] = torch.linspace(0, 0.5, frames)
    transl = keys.transl[:1].expand(frames, 3).clone()
    transl[:, 0] += torch.linspace(-0.1, 0.1, frames)
    return BodyParams(
        global_orient=roma.rotvec_composition([keys.global_orient[:1].expand(frames, 3), yaw]),
        body_pose=between(keys.body_pose),
        betas=keys.betas[:1].expand(frames, -1).clone(),
        transl=transl,
    )


def acceleration_error(body, params: BodyParams, truth: BodyParams) -> float:
    """Millimetres a squared frame, relative to the root."""
    with torch.no_grad():
        gap = body(params, vertices=False).joints - body(truth, vertices=False).joints
    gap = gap - gap[:, :1]
    return 1000 * (gap[2:] - 2 * gap[1:-1] + gap[:-2]).norm(dim=-1).mean().item()


def hide(observation: Observation, bank, frames: int) -> Observation:
    """The same with ``frames`` frames in the middle that show clutter and nobody."""
    if not frames:
        return observation
    first = (len(observation.features) - frames) // 2
    features, keypoints = observation.features.clone(), observation.keypoints.clone()
    features[first : first + frames] = bank.clutter()[0][:, None, None]
    keypoints[first : first + frames, :, 2] = 0
    return replace(observation, features=features, keypoints=keypoints)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=2)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--split", choices=["train", "val", "test"], default="val")
    parser.add_argument("--degrees", type=float, default=10.0)
    parser.add_argument("--hidden", type=int, default=0, help="frames in the middle that show nobody")
    parser.add_argument("--window", type=int, default=32)
    for name, value in (("noise", 1.0), ("keypoint-noise", 3.0), ("patch", 0), ("channels", 64)):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    body, bank, priors = fitting.body_bank_and_priors(args.channels, "random", generator)
    base = StagedConfig()
    base = base.model_copy(update={"sequence": base.sequence.model_copy(update={"window": args.window})})
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(args.films):
        truth = film(args.frames, args.split, generator)
        camera = Camera.from_field((fitting.SIZE, fitting.SIZE), 4.0 * fitting.SIZE, args.frames)
        start = fitting.disturbed(truth, args.degrees, 0.0, generator)
        observation = hide(fitting.observe(body, bank, truth, camera, args, generator), bank, args.hidden)
        found = {"start": (start, start.transl[:, 0] * 0)}
        for name, weight in (("keypoints", 0.0), ("keypoints + mixture", 1.0)):
            config = base.model_copy(update={"feature_weight": weight})
            tool = StagedFitter(config, body, NumbaRenderer(), bank, priors)
            for how, fit in (("alone", tool.fit), ("together", tool.fit_sequence)):
                result = fit(observation, start)
                found[f"{name}, frames {how}"] = (result.params, result.kept.float())
        for name, (params, kept) in found.items():
            error = fitting.pa_mpjpe(body, params, truth).mean().item()
            rows.setdefault(name, []).append((error, acceleration_error(body, params, truth), kept.mean().item()))
    for name, values in rows.items():
        error, unsteady, kept = torch.tensor(values).mean(0).tolist()
        print(f"{name:38s} PA {error:6.1f}  acceleration error {unsteady:6.1f}  kept {kept:.2f}")
    assert math.isfinite(sum(sum(v) for values in rows.values() for v in values))


if __name__ == "__main__":
    main()
