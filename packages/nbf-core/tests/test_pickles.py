"""Pickles of unknown origin: data is read, whatever could run is refused by its name, and nothing ever runs."""

from __future__ import annotations

import builtins
import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nbf_core.errors import AssetError
from nbf_core.pickles import Unread, machine, read_npy, read_npz, read_pickle, read_pickled_arrays

DATA = Path(__file__).parent / "data"
LOOSE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def stored(folder: Path, content: bytes) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(content)
    return path


def read(folder: Path, value: object, protocol: int = 2):
    return read_pickle(stored(folder, pickle.dumps(value, protocol)))


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(-9, 9), inner, max_size=4)
    ),
    max_leaves=12,
)


@LOOSE
@given(value=plain, protocol=st.integers(0, 5))
def test_plain_values_come_back_as_they_were(tmp_path, value, protocol):
    assert read(tmp_path, value, protocol) == value


@LOOSE
@given(
    array=arrays.arrays(
        st.sampled_from(["f8", ">f4", "i8", "u1", "i2", "?", "U7", "S3"]), arrays.array_shapes(min_side=0, max_dims=3)
    ),
    protocol=st.integers(0, 5),
)
def test_arrays_come_back_as_they_were(tmp_path, array, protocol):
    for given_array in (array, np.asfortranarray(array)):
        found = read(tmp_path, {"a": given_array}, protocol)["a"]
        assert found.dtype == array.dtype and found.shape == array.shape
        assert found.tobytes() == array.tobytes()
        found[...] = found  # as writable as any other


@pytest.mark.parametrize("protocol", range(6))
def test_objects_numbers_and_sparse_matrices_are_read(tmp_path, protocol):
    matrix = scipy.sparse.random(5, 7, 0.4, rng=np.random.default_rng(0))
    value = {
        "objects": np.array([1, "text", None, {"k": [2.5]}], object),
        "number": np.float32(1.5),
        "set": {"a", "b"},
        "bytes": b"\x00\xff",
        "nothing": b"",
        **{kind: getattr(matrix, f"to{kind}")() for kind in ("csc", "csr", "coo")},
    }
    found = read(tmp_path, value, protocol)
    assert found["objects"].tolist() == value["objects"].tolist()
    assert found["number"] == 1.5 and found["number"].dtype == np.float32
    assert found["set"] == value["set"] and found["bytes"] == value["bytes"] and found["nothing"] == b""
    for kind in ("csc", "csr", "coo"):
        np.testing.assert_array_equal(found[kind], matrix.toarray())


@pytest.mark.parametrize("protocol", [0, 2])
def test_chumpy_is_read_without_chumpy(protocol):
    """Two files that chumpy 0.70 wrote: a stored array, what reorders it, and one that would have to be computed."""
    found = read_pickle(DATA / f"chumpy_protocol_{protocol}.pkl")
    stored_array = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(found["stored"], stored_array)
    np.testing.assert_array_equal(found["selected"], stored_array[:, :, :2])
    np.testing.assert_array_equal(found["turned"], stored_array[0].T)
    np.testing.assert_array_equal(found["reshaped"], stored_array.reshape(6, 4))
    assert found["computed"] == Unread("chumpy.ch_ops.add")
    assert "computed" not in read_pickled_arrays(DATA / f"chumpy_protocol_{protocol}.pkl")


def test_text_of_python_2_is_read(tmp_path):
    # {'a': 'caf\xe9', u'b': 3L} as Python 2 wrote it.
    assert read_pickle(stored(tmp_path, b"\x80\x02}(U\x01aU\x04caf\xe9X\x01\x00\x00\x00b\x8a\x01\x03u.")) == {
        "a": "caf\xe9",
        "b": 3,
    }
    assert read_pickle(stored(tmp_path, b"(dp0\nS'a\\n'\np1\nL3L\ns.")) == {"a\n": 3}


HOSTILE = {
    "system": (Call(os.system, "touch ran"), f"{os.system.__module__}.system"),
    "eval": (Call(builtins.eval, "open('ran', 'w')"), "eval"),
    "exec": (Call(builtins.exec, "open('ran', 'w')"), "exec"),
    "open": (Call(io.open, "ran", "w"), "open"),
    "getattr": (Call(getattr, Call(__import__, "os"), "system"), "getattr"),
    "import": (Call(__import__, "os"), "__import__"),
    "np.load": (Call(np.load, "ran"), "numpy.load"),
    "np.save": (Call(np.save, "ran", [1]), "numpy.save"),
    "np.fromfile": (Call(np.fromfile, "ran"), "fromfile"),
    "np.zeros": (Call(np.zeros, 10**12), "zeros"),
    "np.frompyfunc": (Call(np.frompyfunc, print, 1, 1), "frompyfunc"),
    "sparse function": (Call(scipy.sparse.load_npz, "ran"), "load_npz"),
    "collections": (collections.Counter("a"), "collections.Counter"),
    "path": (Path("ran"), "pathlib"),
    "class": (Call, "Call"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("case", HOSTILE)
def test_what_could_run_is_refused_by_name(tmp_path, monkeypatch, case, protocol):
    monkeypatch.chdir(tmp_path)
    value, name = HOSTILE[case]
    with pytest.raises(AssetError, match="nothing in it was run") as caught:
        read(tmp_path, {"v_template": np.zeros(3), "extra": value}, protocol)
    assert "model.pkl" in str(caught.value) and name in str(caught.value)
    assert not (tmp_path / "ran").exists()


# Pickles that no pickler would write, and what the refusal says.
FORGED = {
    "a name with dots in it": (b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.load\x93.", "numpy.ndarray.load"),
    "through numpy's own import of os": (b"cnumpy.core.multiarray\nos.system\n(S'touch ran'\ntR.", "os.system"),
    "an instance of the oldest protocol": (b"(S'touch ran'\nios\nsystem\n.", "os.system"),
    "an object of the oldest protocol": (b"(cos\nsystem\nS'touch ran'\no.", "os.system"),
    "a call of a value": (b"]\x85)R.", "damaged"),
    "a call of what was made": (b"cnumpy.core.multiarray\n_reconstruct\n)R)R.", "damaged"),
    "a state for a name": (b"cnumpy\nndarray\n}b.", "damaged"),
    "a state for a list": (b"]}b.", "damaged"),
    "two states": (b"cnumpy\ndtype\n)R}b}b.", "two states"),
    "a persistent name": (b"Pelsewhere\n.", "another file"),
    "a persistent object": (b"NQ.", "another file"),
    "an extension": (b"\x82\x01.", "an extension"),
    "a buffer from outside": (b"\x80\x05\x97.", "outside the file"),
    "keywords": (b"\x80\x04cnumpy\ndtype\n)}N\x4eu.", "damaged"),
    "a memo of two billion entries": (b"]r\xff\xff\xff\x7fj\xff\xff\xff\x6f.", "never kept"),
    "eight exabytes of text": (b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"abc.", "cut short"),
    "minus one byte of text": (b"T\xff\xff\xff\xffabc.", "cut short"),
    "two gigabytes of whole number": (b"\x8b\xff\xff\xff\x7fabc.", "whole number"),
    "a million digits": (b"I" + b"9" * 1_000_000 + b"\n.", "digits"),
    "an array that promises a terabyte": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1000000\nI1000000\ntcnumpy\n"
        b"dtype\n(S'f8'\nI0\nI1\ntRI00\nS'x'\ntb.",
        "with 1 bytes",
    ),
    "a negative shape": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I-1\nI-1\ntcnumpy\ndtype\n"
        b"(S'f8'\nI0\nI1\ntRI00\nS'12345678'\ntb.",
        "no shape",
    ),
    "a newer protocol": (b"\x80\x09N.", "newer"),
    "an unknown operation": (b"\xff.", "no operation"),
    "a missing mark": (b"Nt.", "mark"),
    "an empty stack": (b".", "missing"),
    "a mark as a value": (b"(.", "missing"),
    "a list that holds itself": (b"]q\x00h\x00a.", "contains itself"),
    "an unhashable key": (b"}]Ns.", "a key that is list"),
    "keys that collide": (b"}I" + str(2**61 - 1).encode() + b"\nNs.", "a key that is int"),
    "nothing": (b"", "cut short"),
    "an html page": (b"<!DOCTYPE html>", "damaged"),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_pickles_are_refused(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    content, says = FORGED[case]
    with pytest.raises(AssetError, match="model.pkl") as caught:
        read_pickle(stored(tmp_path, content))
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_lists_that_share_and_nest_do_not_explode(tmp_path):
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(AssetError, match="deep"):
        read_pickle(stored(tmp_path, b"]" + b"(" * 0 + b"\x85" * 5000 + b"."))
    wide = b"]q\x00"
    for _ in range(40):  # each list holds the last one ten times over
        wide += b"0](" + b"h\x00" * 10 + b"eq\x00"
    with pytest.raises(AssetError, match="most of them the same"):
        read_pickle(stored(tmp_path, wide + b"."))


def test_the_same_numbers_over_and_over_are_limited(tmp_path, monkeypatch):
    raw = b"B" + struct.pack("<I", 800_000) + bytes(800_000) + b"q\x00"
    one = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I100000\ntcnumpy\ndtype\n"
        b"(S'f8'\nI0\nI1\ntRI00\nh\x00tb"
    )
    with pytest.raises(AssetError, match="over and over"):
        read_pickle(stored(tmp_path, b"(" + raw + one * 50 + b"l."))
    monkeypatch.setattr(machine, "MOST_VALUES", 1000)
    with pytest.raises(AssetError, match="more than 1000 values"):
        read_pickle(stored(tmp_path, b"(" + b"\x8f" * 2000 + b"l."))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"indices": np.array([0, 1, 99])}, "indices"),
        ({"indices": np.array([0, -1, 1])}, "indices"),
        ({"indptr": np.array([0, 3, 2, 3])}, "indptr"),
        ({"indptr": np.array([0, 1])}, "indptr"),
        ({"data": np.zeros(2)}, "indptr"),
        ({"data": None}, "data"),
        ({"_shape": (10**9, 10**9)}, "too large"),
        ({"_shape": (3, -3)}, "no shape"),
        ({"_shape": "33"}, "no shape"),
    ],
)
def test_sparse_matrices_that_do_not_fit_are_refused(tmp_path, change, says):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.__dict__.update(change)
    with pytest.raises(AssetError, match=f"J_regressor: .*{says}"):
        read(tmp_path, {"J_regressor": matrix})


def test_arrays_of_records_and_of_times_are_refused(tmp_path):
    for array in (np.zeros(2, "i4,f8"), np.zeros(2, "M8[s]")):
        with pytest.raises(AssetError, match="field: .*not read"):
            read(tmp_path, {"field": array})


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, protocol):
    content = pickle.dumps({"a": np.arange(5.0), "b": ["text", 3, 2.5], "c": scipy.sparse.eye(2).tocsc()}, protocol)
    for end in range(0, len(content), 11):
        with pytest.raises(AssetError, match="model.pkl"):
            read_pickle(stored(tmp_path, content[:end]))


@LOOSE
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6), protocol=st.integers(0, 5))
def test_a_damaged_file_is_an_error_or_a_value(tmp_path, changes, protocol):
    matrix = scipy.sparse.eye(2).tocsc()
    content = bytearray(pickle.dumps({"a": np.arange(5.0), "b": ["text", 3, {2.5: ()}], "c": matrix}, protocol))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        read_pickle(stored(tmp_path, bytes(content)))
    except AssetError as error:
        assert "model.pkl" in str(error)


def test_size_and_presence_are_checked(tmp_path):
    path = stored(tmp_path, pickle.dumps(np.zeros(1000)))
    with pytest.raises(AssetError, match="more than 100"):
        read_pickle(path, most=100)
    with pytest.raises(AssetError, match="none.pkl: no such file"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(AssetError, match="cannot be read"):
        read_pickle(tmp_path)


def test_named_arrays_alone(tmp_path):
    path = stored(tmp_path, pickle.dumps({"a": np.ones(2), "b": [1, 2], "c": "text", "d": np.array([None])}))
    assert {name: value.tolist() for name, value in read_pickled_arrays(path).items()} == {"a": [1, 1], "b": [1, 2]}
    with pytest.raises(AssetError, match="expected a dictionary"):
        read_pickled_arrays(stored(tmp_path, pickle.dumps([1])))


def test_npz_with_objects_in_it(tmp_path):
    path = tmp_path / "set.npz"
    people = np.array([{"gender": "female"}, {"gender": "male"}], object)
    value = {"keypoints": np.random.default_rng(0).random((3, 4)), "names": np.array(["a", "bb"]), "people": people}
    value |= {"meta": {"version": [1, 2]}, "empty": np.zeros((0, 3)), "order": np.ones((2, 3), order="F")}
    np.savez_compressed(path, **value)
    found = read_npz(path)
    np.testing.assert_array_equal(found["keypoints"], value["keypoints"])
    assert found["names"].tolist() == ["a", "bb"] and found["people"].tolist() == people.tolist()
    assert found["meta"] == {"version": [1, 2]} and found["empty"].shape == (0, 3)
    np.testing.assert_array_equal(found["order"], np.ones((2, 3)))


def test_npz_that_is_not_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "set.npz"
    np.savez(path, good=np.zeros(2), meta=np.array(Call(os.system, "touch ran"), object))
    with pytest.raises(AssetError, match=r"set.npz: .*meta: .*system"):
        read_npz(path)
    assert not (tmp_path / "ran").exists()
    whole = tmp_path / "whole.npz"
    np.savez(whole, a=np.arange(1000))
    for end in (0, 3, 100, 4000):
        path.write_bytes(whole.read_bytes()[:end])
        with pytest.raises(AssetError, match="set.npz"):
            read_npz(path)
    damaged = bytearray(whole.read_bytes())
    damaged[2000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(AssetError, match="set.npz: .*a: "):
        read_npz(path)


@pytest.mark.parametrize(
    ("name", "shape", "content", "says"),
    [
        ("a.npy", "(1000000, 1000000)", b"12345678", "need 8000000000000 bytes"),
        ("a.npy", "(0,)", b"12345678", "need 0 bytes"),
        ("a.npy", "('x',)", b"12345678", "shape"),
        ("../../a.txt", "(1,)", b"12345678", "no array"),
        ("a.npy", "__import__('os').system('touch ran')", b"", "header"),
    ],
)
def test_npz_with_forged_members(tmp_path, monkeypatch, name, shape, content, says):
    monkeypatch.chdir(tmp_path)
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content)
    with pytest.raises(AssetError, match="set.npz") as caught:
        read_npz(tmp_path / "set.npz")
    assert says in str(caught.value)
    assert not (tmp_path / "ran").exists() and [p.name for p in tmp_path.iterdir()] == ["set.npz"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, a=np.zeros(4_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(AssetError, match="unpacks to 32000128 bytes"):
        read_npz(path, most=1_000_000)
    with pytest.raises(AssetError, match="no such file"):
        read_npz(tmp_path / "none.npz")


def test_npy(tmp_path):
    path = tmp_path / "regressor.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read_npy(path), np.arange(6.0).reshape(2, 3))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AssetError, match="regressor.npy: .*cut short"):
        read_npy(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(AssetError, match="regressor.npy"):
        read_npy(path)
