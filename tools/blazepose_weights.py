"""Write BlazePose's landmark network as tensors that torch can train on: see nbf_regressors.backbones.blazepose.

    python tools/blazepose_weights.py plugins/nbf-detect-blazepose/src/nbf_detect_blazepose/data

reads ``pose_landmark_full.tflite`` there and writes ``blazepose-full.safetensors`` beside it: the convolutions in
float16, as the file holds them, without the segmentation branch and the last layers. The result is checked against the
original, run by LiteRT on random pictures. Beside each convolution lie the mean and the standard deviation of what it
gives for synthetic people, by channel: training takes the batch normalisation out of the convolutions by them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from nbf_body_anny.body import AnnyBody
from nbf_body_anny.config import AnnyConfig
from nbf_core.weights import save_weights
from nbf_data_synthetic.config import SyntheticConfig
from nbf_data_synthetic.dataset import SyntheticPeople
from nbf_regressors.backbones.blazepose import BlazePose, FoldedConv

DEEPEST, SUMMARY, HEATMAPS = 271, 335, 279
"""Tensors of the original, by number: the deepest map, the summary, the map that heatmaps are read from."""


def convolutions(path: Path) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Weight [out, in, k, k] and bias [out] of every convolution, by the number of the tensor that it gives."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    kinds = schema.BuiltinOperator
    halves = {
        int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators if codes[op.opcodeIndex] == kinds.DEQUANTIZE
    }

    def read(tensor: int) -> torch.Tensor:
        stored = graph.tensors[halves[tensor]]
        values = np.frombuffer(bytes(model.buffers[stored.buffer].data), "<f2")
        return torch.from_numpy(values.reshape(list(stored.shape)).copy())

    found = {}
    for op in graph.operators:
        kind = codes[op.opcodeIndex]
        if kind in (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D):
            weight, bias = read(int(op.inputs[1])), read(int(op.inputs[2]))
            order = (0, 3, 1, 2) if kind == kinds.CONV_2D else (3, 0, 1, 2)
            found[int(op.outputs[0])] = (weight.permute(order), bias)
    return found


def ancestry(path: Path) -> list[int]:
    """Convolutions in the order of the original's operators, without the segmentation branch and the last layers."""
    order = list(convolutions(path))
    segmentation = {208, 209} | set(range(280, 298))
    last = {298, 336, 338, 340}
    return [number for number in order if number not in segmentation | last]


def backbone(path: Path) -> BlazePose:
    """The torch network with the original's weights."""
    network = BlazePose(frozen=5).eval()
    laterals = [(218, 219), (228, 229), (253, 254), (272, 273)]
    flat = {number for pair in laterals for number in pair}
    main = [number for number in ancestry(path) if number not in flat]
    own = [m for part in (network.down, network.deepest, network.summary) for m in part.modules() if _is_conv(m)]
    own += [m for m in network.laterals.modules() if _is_conv(m)]
    numbers = main + [number for pair in laterals for number in pair]
    given = convolutions(path)
    assert len(own) == len(numbers), (len(own), len(numbers))
    with torch.no_grad():
        for module, number in zip(own, numbers, strict=True):
            weight, bias = given[number]
            assert module.weight.shape == weight.shape, (number, module.weight.shape, weight.shape)
            module.weight.copy_(weight)
            module.bias.copy_(bias)
    return network


def _is_conv(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Conv2d)


def check(path: Path, network: BlazePose) -> float:
    """The largest difference from the original's heatmaps and 3D landmarks, relative to their largest value."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    given = convolutions(path)
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(3):
        picture = torch.from_numpy(rng.random((1, 3, 128, 128), np.float32))
        large = torch.nn.functional.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], large.permute(0, 2, 3, 1).numpy())
        interpreter.invoke()
        with torch.inference_mode():
            maps = network(large)
            heat = torch.nn.functional.conv2d(maps[0][:, 24:], *(v.float() for v in given[298]))
            world = torch.nn.functional.conv2d(maps[4].reshape(1, 288, 2, 2), *(v.float() for v in given[338]))
        for name, ours in (("Identity_3", heat.permute(0, 2, 3, 1)), ("Identity_4", world.reshape(1, -1))):
            index = next(o["index"] for o in interpreter.get_output_details() if o["name"] == name)
            theirs = torch.from_numpy(interpreter.get_tensor(index))
            worst = max(worst, float((ours - theirs).abs().max() / theirs.abs().max()))
    return worst


@torch.inference_mode()
def statistics(network: BlazePose, count: int = 128) -> dict[str, torch.Tensor]:
    """Mean and standard deviation [channels] of what every convolution gives, over ``count`` synthetic people."""
    config = SyntheticConfig(split="train", size=count, seed=11, image_size=256, augment=True)
    people = SyntheticPeople(config, AnnyBody(AnnyConfig()))
    sums: dict[str, list[torch.Tensor]] = {}

    def note(name: str):
        def hook(_module: torch.nn.Module, _inputs: tuple, given: torch.Tensor) -> None:
            values = given.double().flatten(2)
            sums.setdefault(name, []).append(torch.stack((values.mean((0, 2)), values.square().mean((0, 2)))))

        return hook

    hooks = [m.register_forward_hook(note(n)) for n, m in network.named_modules() if isinstance(m, FoldedConv)]
    for start in range(0, count, 32):
        chosen = range(start, min(start + 32, count))
        network(torch.stack([people[index].image for index in chosen]).float() / 255)
    for hook in hooks:
        hook.remove()
    found = {}
    for name, parts in sums.items():
        mean, square = torch.stack(parts).mean(0)
        found[f"{name}.mean"] = mean
        found[f"{name}.std"] = (square - mean.square()).clamp(min=1e-6).sqrt()
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    source = folder / "pose_landmark_full.tflite"
    network = backbone(source)
    worst = check(source, network)
    print(f"differs from the original by {worst:.1e} of the largest value")
    if worst > 1e-3:
        raise SystemExit("not the same network")
    tensors = {name: value.half() for name, value in (network.state_dict() | statistics(network)).items()}
    about = {"source": "MediaPipe 0.10.21, pose_landmark_full.tflite", "license": "Apache-2.0"}
    save_weights(folder / "blazepose-full.safetensors", tensors, about)


if __name__ == "__main__":
    main()
