"""The names that a pickle may bring up, and what is understood by each. Everything else is refused by its name."""

from __future__ import annotations

_SPARSE = {"csc": "csc", "csr": "csr", "coo": "coo"}
_CHUMPY = {
    "chumpy.ch": ("Ch", "MatVecMult"),
    "chumpy.reordering": ("Select", "Reshape", "transpose", "Concatenate"),
    "chumpy.ch_ops": ("add", "subtract", "multiply", "divide"),
}


def _known() -> dict[tuple[str, str], str]:
    """What is meant by each (module, name), over the versions of Python, numpy and scipy that write them."""
    known = {("_codecs", "encode"): "encode", ("numpy", "ndarray"): "ndarray", ("numpy", "dtype"): "dtype"}
    for numpy in ("numpy.core", "numpy._core"):
        known[f"{numpy}.multiarray", "_reconstruct"] = "array"
        known[f"{numpy}.multiarray", "scalar"] = "scalar"
        known[f"{numpy}.numeric", "_frombuffer"] = "buffer"
    for builtins in ("builtins", "__builtin__"):
        for name in ("object", "set", "frozenset", "bytes", "bytearray"):
            known[builtins, name] = name
    for copyreg in ("copyreg", "copy_reg"):
        known[copyreg, "_reconstructor"] = "reconstructor"
    for kind in _SPARSE:
        for module in (f"scipy.sparse.{kind}", f"scipy.sparse._{kind}"):
            known[module, f"{kind}_matrix"] = known[module, f"{kind}_array"] = kind
    for module, names in _CHUMPY.items():
        known |= {(module, name): f"{module}.{name}" for name in names}
    return known


KNOWN = _known()
SPARSE = frozenset(_SPARSE)
CHUMPY = frozenset(meaning for meaning in KNOWN.values() if meaning.startswith("chumpy."))
