"""Loading and running the two TensorFlow Lite models."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from nbf_core.errors import AssetError

_Shape = tuple[int, ...]
_DATA = Path(__file__).parent / "data"
_SHIPPED = {
    "pose_detection.tflite": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
_DETECTION_INPUT, _LANDMARK_INPUT = (1, 224, 224, 3), (1, 256, 256, 3)
_DETECTION_OUTPUTS = ((1, 2254, 12), (1, 2254, 1))
_LANDMARK_OUTPUTS = ((1, 195), (1, 1), (1, 64, 64, 39), (1, 117))


class Model:
    """One network: float32 image [h, w, 3] in, arrays of known shapes out."""

    def __init__(self, path: Path, input_shape: _Shape, outputs: tuple[_Shape, ...], threads: int) -> None:
        content = _read(path)
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise AssetError(f"{path}: not a readable TensorFlow Lite model ({_one_line(error)})") from error
        given = self._interpreter.get_input_details()[0]
        found = {_shape(output): output["index"] for output in self._interpreter.get_output_details()}
        if _shape(given) != input_shape or any(shape not in found for shape in outputs):
            raise AssetError(
                f"{path}: not the expected model: input {_shape(given)}, outputs "
                f"{sorted(found)}; expected input {input_shape}, outputs {outputs}"
            )
        self._input, self._outputs = given["index"], [found[shape] for shape in outputs]

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """Run the network; the outputs are copies without the batch axis, in the order asked for."""
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(image[None], np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


def detection_model(path: Path | None, threads: int) -> Model:
    """The pose detector; outputs boxes [2254, 12] and logits [2254, 1]. Input in -1 to 1."""
    return Model(path or _DATA / "pose_detection.tflite", _DETECTION_INPUT, _DETECTION_OUTPUTS, threads)


def landmark_model(path: Path | None, threads: int) -> Model:
    """The landmark model; outputs landmarks [195], presence [1], heat maps, world [117]. Input in 0 to 1."""
    return Model(path or _DATA / "pose_landmark_full.tflite", _LANDMARK_INPUT, _LANDMARK_OUTPUTS, threads)


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AssetError(f"{path}: cannot read the model file ({error.strerror or error})") from error
    # A flatbuffer carries its identifier after the root offset; anything else may crash the reader.
    if content[4:8] != b"TFL3":
        raise AssetError(f"{path}: not a TensorFlow Lite model, or cut short ({len(content)} bytes)")
    if path.parent == _DATA and hashlib.sha256(content).hexdigest() != _SHIPPED[path.name]:
        raise AssetError(f"{path}: damaged or cut short ({len(content)} bytes); reinstall nbf-detect-blazepose")
    return content


def _shape(details: dict) -> _Shape:
    return tuple(int(n) for n in details["shape"])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
