"""What crosses arrives exactly, the rest is refused, and no peer holds one up."""

import enum
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import OrderedDict, defaultdict, namedtuple

import msgpack
import numpy as np
import pytest
import torch

from grader.inside import wire
from grader.inside.wire import BadFrame, NotData, Tagged, decode, receive, send

MAX = 1 << 24


def encode(value, **options):
    return b"".join(wire.encode(value, **options))


def crossed(value, **options):
    return decode(encode(value), **options)


def frame(*tokens, buffers=(), **changed):
    """A frame made by hand from the header's tokens."""
    header = b"".join(map(msgpack.packb, tokens))
    parts = {"magic": wire.MAGIC, "length": len(header), "number": len(buffers)}
    parts |= changed
    sizes = b"".join(len(b).to_bytes(8, "little") for b in buffers)
    lengths = [parts[key].to_bytes(4, "little") for key in ("length", "number")]
    return b"".join([parts["magic"], *lengths, sizes, header, *buffers])


def assert_same(seen, sent):
    """The same types, shapes, orders and bits all the way down."""
    assert type(seen) is type(sent)
    if isinstance(sent, np.ndarray | np.generic):
        assert seen.dtype == sent.dtype
        assert seen.shape == sent.shape
        assert seen.tobytes() == sent.tobytes()
        for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
            assert seen.flags[flag] == sent.flags[flag]
    elif isinstance(sent, torch.Tensor):
        assert (seen.dtype, seen.shape) == (sent.dtype, sent.shape)
        rows = [torch.empty(t.shape, dtype=t.dtype).copy_(t) for t in (seen, sent)]
        assert torch.equal(*(row.reshape(-1).view(torch.uint8) for row in rows))
    elif isinstance(sent, dict):
        assert_same(list(seen.items()), list(sent.items()))
    elif isinstance(sent, list | tuple):
        assert len(seen) == len(sent)
        for a, b in zip(seen, sent, strict=True):
            assert_same(a, b)
    elif isinstance(sent, Tagged):
        assert_same((seen.kind, seen.content), (sent.kind, sent.content))
    elif isinstance(sent, float | complex):
        assert np.array(seen).tobytes() == np.array(sent).tobytes()
    else:
        assert seen == sent


# --- round trips ---

NAN, INF = math.nan, math.inf
NUMBERS = [0, -1, 2**63 - 1, 2**63, -(2**63), 2**64, -(2**64), 10**4000, True, False]
NUMBERS += [0.0, -0.0, NAN, INF, -INF, 5e-324, 1e308, complex(-0.0, NAN), 1j, None]
TEXTS = [
    "",
    "ä",
    "\ud800 alone",
    "\ud83d\ude00",
    "😀",
    "\0",
    b"",
    b"\xff\0",
    "s" * 9999,
]
ARRAY_NAMES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
ARRAY_NAMES += ["uint64", "float16", "float32", "float64", "complex64", "complex128"]
TENSOR_NAMES = [*ARRAY_NAMES, "bfloat16"]


def some_array(rng):
    shape = rng.choices([0, 1, 2, 3], k=rng.randrange(4))
    values = np.array([rng.choice([0, 1, 2, -3]) for _ in range(math.prod(shape))])
    array = values.reshape(shape).astype(rng.choice(ARRAY_NAMES))
    return rng.choice([np.asfortranarray, np.ascontiguousarray])(array)


def some_tensor(rng):
    tensor = torch.randint(-3, 3, rng.choices([0, 1, 2], k=rng.randrange(4)))
    return tensor.to(getattr(torch, rng.choice(TENSOR_NAMES)))


def some_key(rng, depth=2):
    kind = rng.randrange(4 if depth else 2)
    if kind == 2:
        return tuple(some_key(rng, depth - 1) for _ in range(rng.randrange(4)))
    if kind == 3:
        return frozenset(some_key(rng, 0) for _ in range(rng.randrange(4)))
    return rng.choice([rng.randrange(-99, 99), rng.choice(TEXTS), None, np.float32(2)])


def some_value(rng, depth=4):
    kind = rng.randrange(11 if depth else 5)
    if kind < 5:
        leaves = (NUMBERS, TEXTS, None, None, [np.int8(-1), np.complex64(1j)])
        makers = {2: some_array, 3: some_tensor}
        return makers[kind](rng) if kind in makers else rng.choice(leaves[kind])
    if kind == 5:
        return {some_key(rng) for _ in range(rng.randrange(5))}
    if kind == 6:
        return Tagged("handle", some_value(rng, depth - 1))
    if kind == 7:
        keys = [some_key(rng) for _ in range(rng.randrange(5))]
        return {key: some_value(rng, depth - 1) for key in keys}
    entries = [some_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    return tuple(entries) if kind == 8 else entries


@pytest.mark.parametrize("seed", range(20))
def test_values_arrive_exactly(seed):
    rng = random.Random(seed)
    for _ in range(50):
        value = some_value(rng)
        assert_same(crossed(value, kinds={"handle"}), value)


def test_every_number_and_text_arrives():
    assert_same(crossed([*NUMBERS, *TEXTS]), [*NUMBERS, *TEXTS])


@pytest.mark.parametrize("name", ARRAY_NAMES)
def test_arrays_of_every_dtype_and_layout_arrive(name):
    full = np.arange(24).reshape(2, 3, 4).astype(name)
    arrays = [
        full,
        full.T,
        full[:, ::2],
        full[0, 0, 0:1],
        full[:0],
        np.array(full[1, 1, 1]),
    ]
    arrays += [
        full.astype(full.dtype.newbyteorder(">")),
        np.broadcast_to(full, (2, *full.shape)),
    ]
    for array in arrays:
        seen = crossed(array)
        assert type(seen) is np.ndarray
        assert seen.dtype == np.dtype(name)
        assert seen.dtype.isnative
        assert seen.flags.writeable
        assert np.array_equal(seen, array)
    assert crossed(full.T).flags.f_contiguous
    assert_same(crossed(full[1, 1, 1]), full[1, 1, 1])


@pytest.mark.parametrize("name", TENSOR_NAMES)
def test_tensors_of_every_dtype_and_layout_arrive(name):
    full = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, name))
    one = full.reshape(-1)[::7][:1]
    for tensor in (full, full.mT, full[:, ::2], one, full[:0], full[1, 1, 1]):
        assert_same(crossed(tensor), tensor)


def test_special_floats_keep_their_bits():
    array = np.array([-0.0, NAN, -NAN, INF, 5e-324])
    for value in (array, array.astype("f2"), torch.tensor(array), list(array)):
        assert_same(crossed(value), value)


def test_conjugate_tensors_arrive_as_they_read():
    for tensor in (torch.tensor([1 + 2j, 3 - 1j]), torch.tensor([1 + 2j])):
        assert torch.equal(crossed(tensor.conj()), tensor.conj())
        assert torch.equal(crossed(tensor.conj().imag), tensor.conj().imag)


@pytest.mark.parametrize("make", [np.ones, torch.ones], ids=["array", "tensor"])
def test_what_arrives_shares_no_memory(make):
    data = bytearray(encode([make(3), make(3)]))
    first, second = decode(data)
    first += 1
    data[-8:] = bytes(8)
    assert second.tolist() == [1, 1, 1]
    assert first.tolist() == [2, 2, 2]


def test_gradients_are_kept_only_if_asked_for():
    weight = torch.nn.Parameter(torch.ones(2))
    with torch.no_grad():
        values = encode([weight, (weight * 2).detach()])
    assert [t.requires_grad for t in decode(values)] == [False, False]
    first, second = decode(values, gradients=True)
    assert type(first) is torch.Tensor
    assert first.is_leaf
    assert [first.requires_grad, second.requires_grad] == [True, False]


@pytest.mark.slow
def test_torch_is_imported_only_where_tensors_are():
    code = """
import sys
import numpy as np
from grader.inside.wire import decode, encode

decode(b"".join(encode({"a": [np.ones(3)]})))
assert "torch" not in sys.modules
print(type(decode(bytes.fromhex(sys.argv[1]))))
"""
    hexed = encode(torch.ones(2)).hex()
    told = subprocess.run([sys.executable, "-c", code, hexed], capture_output=True)
    assert told.stdout.strip() == b"<class 'torch.Tensor'>", told.stderr.decode()


# --- what isn't data ---


class Plain:
    pass


REFUSED = {
    "an object": Plain(),
    "a class": int,
    "a function": len,
    "a generator": (i for i in ()),
    "an object array": np.array([None]),
    "an array of texts": np.array(["a"]),
    "dates": np.array(["2020"], dtype="M8[D]"),
    "a structured array": np.zeros(2, dtype=[("a", "f8")]),
    "long doubles": np.zeros(2, dtype=np.longdouble),
    "a long double": np.longdouble(1),
    "a date": np.datetime64("2020"),
    "a bytearray": bytearray(b"a"),
    "a range": range(3),
    "a sparse tensor": torch.zeros(2).to_sparse(),
    "a tensor without memory": torch.zeros(2, device="meta"),
    "a tensor of bytes that count as floats": torch.zeros(2).to(torch.float8_e5m2),
    "a module": torch.nn.Linear(1, 1),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_what_is_not_data_is_named_with_its_place(value):
    with pytest.raises(NotData) as caught:
        encode({"w": [0, (1, value)]})
    assert caught.value.path == "['w'][1][1]"
    assert caught.value.kind == type(value).__name__
    for fact in (type(value).__name__, "at ['w'][1][1]"):
        assert fact in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_the_place_is_told_of_keys_and_sets_too():
    for value in ({"k": {3: Plain()}}, {"k": {3: {Plain(): 1}}}):
        with pytest.raises(NotData, match=r"\['k'\]\[3\]") as caught:
            encode(value)
        assert caught.value.kind == "Plain"
    with pytest.raises(NotData, match=r"\['k'\]\[0\]"):
        encode({"k": {Plain()}})


def test_long_places_are_cut():
    value = Plain()
    for _ in range(90):
        value = {"a long name": value}
    with pytest.raises(NotData) as caught:
        encode(value)
    assert len(str(caught.value)) < 200


class HashableList(list):
    def __hash__(self):
        return 1


def test_what_changes_is_no_key():
    sets = frozenset({(frozenset(),)})
    for key in (HashableList(), (1, HashableList()), torch.ones(1), sets):
        with pytest.raises(NotData, match="key"):
            encode({key: 1})
        with pytest.raises(NotData, match="key"):
            encode({key})


def test_containers_that_hold_themselves_are_refused():
    loop, table = [1], {}
    loop += [loop, loop]
    table["me"] = (table,)
    for value in (loop, table):
        with pytest.raises(NotData, match="itself"):
            encode(value)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_limited_alike_on_both_sides():
    deepest = nested(wire.MAX_DEPTH)
    assert crossed(deepest) == deepest
    with pytest.raises(NotData):
        encode([deepest])
    data = frame(*("l", 1) * (wire.MAX_DEPTH + 1), 1)
    with pytest.raises(BadFrame, match="others"):
        decode(data)


def test_depth_counts_what_is_around_only():
    assert crossed([nested(50)] * 9) == [nested(50)] * 9


def test_the_number_of_values_is_limited_alike_on_both_sides(monkeypatch):
    monkeypatch.setattr(wire, "MAX_NODES", 1000)
    most = [0] * 999
    assert crossed(most) == most
    data = frame("l", 1000, *[0] * 1000)
    with pytest.raises(BadFrame, match="1,000"):
        decode(data)
    with pytest.raises(NotData):
        encode([*most, 0])
    shared = nested(0)
    for _ in range(60):
        shared = [shared, shared]
    with pytest.raises(NotData):
        encode(shared)


def test_the_number_of_arrays_is_limited_alike_on_both_sides():
    most = [np.zeros(1, "i1")] * wire.MAX_BUFFERS
    assert len(crossed(most)) == wire.MAX_BUFFERS
    with pytest.raises(NotData):
        encode([*most, most[0]])
    one = ("C", "int8", 1, 0)
    number = wire.MAX_BUFFERS + 1
    with pytest.raises(BadFrame):
        decode(frame("l", number, *one * number, buffers=[b""] * number))


def test_ints_are_limited_to_what_can_be_printed():
    most = 2**wire.MAX_INT_BITS - 1
    for value in (most, -most):
        assert crossed(value) == value
        assert str(value)
    with pytest.raises(NotData):
        encode([most + 1])
    with pytest.raises(BadFrame):
        decode(frame("i", bytes(wire.MAX_INT_BITS // 8 + 2)))


def test_the_total_is_limited():
    for value in ("x" * 2000, np.zeros(2000, "u1"), torch.zeros(500)):
        with pytest.raises(NotData, match="1,000 bytes"):
            wire.encode(value, max_bytes=1000)
        wire.encode(value, max_bytes=3000)


@pytest.mark.parametrize("shape", [(0, 10**9), (2**20, 0, 2**20)])
def test_empty_arrays_with_vast_axes_are_refused(shape):
    with pytest.raises(NotData):
        encode(np.empty(shape, "i1"))
    with pytest.raises(BadFrame):
        decode(frame("C", "int8", len(shape), *shape, buffers=[b""]))


def test_arrays_of_too_many_axes_are_refused():
    assert crossed(np.ones((1,) * 32)).ndim == 32
    for value in (np.ones((1,) * 33), torch.ones((1,) * 33)):
        with pytest.raises(NotData, match="33"):
            encode(value)
    with pytest.raises(BadFrame):
        decode(frame("C", "int8", 33, *[1] * 33, buffers=[b"1"]))


def test_references_go_in_place_of_objects():
    def refer(value):
        return Tagged("handle", type(value).__name__) if type(value) is Plain else None

    data = encode([Plain(), 1], refer=refer)
    assert decode(data, kinds={"handle"}) == [Tagged("handle", "Plain"), 1]
    with pytest.raises(NotData):
        encode(len, refer=refer)


def test_only_the_kinds_of_references_asked_for_are_accepted():
    data = encode([Tagged("code", "x")])
    for kinds in (frozenset(), {"handle"}):
        with pytest.raises(BadFrame, match="code"):
            decode(data, kinds=kinds)
    assert decode(data, kinds=["code"]) == [Tagged("code", "x")]
    for kind in (1, [1], b"code", None):
        with pytest.raises(BadFrame):
            decode(encode(Tagged(kind, 1)), kinds={"code"})


# --- liars ---


def lie(*args, **kwargs):
    raise AssertionError("a method of the object was called")


LIES = dict.fromkeys(
    """__iter__ __len__ __getitem__ __array__ __array_ufunc__ __array_function__
    __reduce__ __reduce_ex__ __getstate__ __repr__ __str__ __int__ __index__ __float__
    __complex__ __bytes__ __bool__ items keys values tobytes tolist detach cpu numpy
    reshape view __torch_function__ __array_priority__ __contains__""".split(),
    lie,
)
for name in ("__class__", "dtype", "shape", "flags", "T", "ndim", "layout", "data"):
    LIES[name] = property(lie)


def liar(base, **more):
    return type("Liar", (base,), LIES | more)


def array_liar():
    armed = []
    kind = liar(np.ndarray, __array_finalize__=lambda *_: armed and lie())
    made = np.ndarray.view(np.arange(3.0), kind)
    armed.append(True)
    return made


SUBCLASSES = {
    "str": (liar(str)("a"), "a"),
    "bytes": (liar(bytes)(b"a"), b"a"),
    "int": (liar(int)(7), 7),
    "float": (liar(float)(0.5), 0.5),
    "complex": (liar(complex)(1j), 1j),
    "list": (liar(list)([1, 2]), [1, 2]),
    "tuple": (liar(tuple)((1, 2)), (1, 2)),
    "dict": (liar(dict)({"a": 1}), {"a": 1}),
    "set": (liar(set)({1}), {1}),
    "frozenset": (liar(frozenset)({1}), frozenset({1})),
    "array": (array_liar(), np.arange(3.0)),
    "NumPy number": (liar(np.float64)(2.5), np.float64(2.5)),
    "tensor": (
        torch.Tensor.as_subclass(
            torch.arange(3), liar(torch.Tensor, __torch_function__=classmethod(lie))
        ),
        torch.arange(3),
    ),
    "parameter": (torch.nn.Parameter(torch.ones(2)), torch.ones(2)),
    "enum": (enum.IntEnum("E", "A B").B, 2),
    "np.str_": (np.str_("a"), "a"),
    "np.bytes_": (np.bytes_(b"a"), b"a"),
    "named tuple": (namedtuple("P", "x y")(1, 2), (1, 2)),
    "ordered dict": (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "default dict": (defaultdict(list, a=1), {"a": 1}),
    "matrix": (np.ones((2, 2)).view(np.matrix), np.ones((2, 2))),
}


@pytest.mark.parametrize(("value", "expected"), SUBCLASSES.values(), ids=SUBCLASSES)
def test_subclasses_become_their_base_and_none_of_their_methods_runs(value, expected):
    data = b"".join(wire.encode((value,)))
    assert_same(decode(data)[0], expected)


def test_an_object_that_claims_to_be_data_is_refused():
    class Claims:
        __class__ = property(lambda self: np.ndarray)
        __array__ = __iter__ = __len__ = __float__ = __index__ = lie

    with pytest.raises(NotData, match="Claims"):
        encode(Claims())


# --- frames from an enemy ---

F8 = np.ones(2).tobytes()
BAD = {
    "nothing": b"",
    "an empty header": frame(),
    "another magic": frame(1, magic=b"FOV0"),
    "a header that ends early": frame(1, length=2),
    "a header that goes on": frame(1, 2),
    "a frame that goes on": frame(1) + b"\0",
    "a code that isn't one": frame("q"),
    "an empty code": frame(""),
    "a msgpack list": frame([]),
    "a msgpack list of values": frame([1]),
    "a msgpack table": frame({}),
    "an extension": frame(msgpack.ExtType(5, b"")),
    "an extension with content": frame(msgpack.ExtType(5, b"1")),
    "a time": frame(msgpack.Timestamp(1)),
    "a text that isn't UTF-8": frame("s", 0)[:-1] + b"\xa1\xff",
    "a number for a text": frame("s", 1),
    "a whole number in a complex one": frame("c", 1, 0.0),
    "a number for the bytes of an int": frame("i", 1),
    "a count below zero": frame("l", -1),
    "a count that is a bool": frame("l", True, 1),
    "a count that is a float": frame("l", 1.0, 1),
    "more entries than there are": frame("l", 2, 1),
    "fewer entries than there are": frame("l", 1, 1, 1),
    "a key without its value": frame("d", 1, 1),
    "an endless list": frame("l", 2**62),
    "a list as a key": frame("d", 2, "l", 0, 1),
    "a table as a key": frame("d", 2, "d", 0, 1),
    "a set as a key": frame("d", 2, "S", 0, 1),
    "a list in a key": frame("d", 2, "t", 1, "l", 0, 1),
    "an array as a key": frame("S", 1, "C", "float64", 1, 2, buffers=[F8]),
    "a tensor as a key": frame("S", 1, "T", "float64", 1, 2, buffers=[F8]),
    "a list in a frozen set": frame("z", 1, "l", 0),
    "a key twice": frame("d", 4, 1, 1, True, 2),
    "sets of sets of sets as elements": frame("S", 1, "z", 1, "z", 0),
    "sets of tuples of sets as keys": frame("d", 2, "z", 1, "t", 1, "z", 0, 1),
    "an element twice": frame("S", 2, 1, 1.0),
    "an element of a frozen set twice": frame("z", 2, "s", "a", "s", "a"),
    "a dtype of objects": frame("C", "object", 1, 2, buffers=[F8 + F8]),
    "a dtype made of text": frame("C", "f8,f8", 1, 1, buffers=[F8]),
    "a dtype by its code": frame("C", "f8", 1, 2, buffers=[F8]),
    "a tensor's dtype for an array": frame("C", "bfloat16", 1, 8, buffers=[F8]),
    "a dtype that is a function": frame("T", "load", 1, 2, buffers=[F8]),
    "a dtype of quantities": frame("T", "quint8", 1, 16, buffers=[F8]),
    "a dtype that is no text": frame("C", 1, 1, 2, buffers=[F8]),
    "an array without its buffer": frame("C", "float64", 1, 2),
    "an array with half its buffer": frame("C", "float64", 1, 2, buffers=[F8[:8]]),
    "a tensor with half its buffer": frame("T", "float64", 1, 2, buffers=[F8[:8]]),
    "an array with twice its buffer": frame("C", "float64", 1, 1, buffers=[F8]),
    "buffers for each other's arrays": frame(
        "l", 2, *("C", "int8", 1, 1), *("C", "int8", 1, 3), buffers=[b"123", b"1"]
    ),
    "a tensor of another dtype": frame("T", "float8_e5m2", 1, 16, buffers=[F8]),
    "a buffer too many": frame("C", "float64", 1, 2, buffers=[F8, F8]),
    "an axis below zero": frame("C", "float64", 2, -1, -2, buffers=[F8]),
    "axes whose product overflows": frame("C", "int8", 2, 2**32, 2**32, buffers=[b""]),
    "axes of 2**60 entries": frame("C", "int8", 1, 2**60, buffers=[b"1"]),
    "a tensor of 2**60 entries": frame("T", "int8", 1, 2**60, buffers=[b"1"]),
    "an axis that is a bool": frame("C", "float64", 2, True, 2, buffers=[F8]),
    "a NumPy number of too few bytes": frame("g", "float64", b"1234567"),
    "two NumPy numbers": frame("g", "float64", F8),
    "a NumPy number of objects": frame("g", "object", F8[:8]),
    "a NumPy number made of numbers": frame("g", "int8", 1),
    "a frame of more than fits": frame(1, length=2**32 - 1),
    "a buffer of more than fits": frame("C", "int8", 1, 1, number=1) + b"\xff" * 8,
    "a reference with nothing": frame("x", 1, "s", "handle"),
    "an array like a tuple": frame("S", 2, "g", "float64", F8[:8], "S"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_frames_are_refused(data):
    with pytest.raises(BadFrame):
        decode(data, kinds={"handle"})


@pytest.mark.parametrize("claim", [b"\xdd\x00\x10\x00\x00", b"\xdf\x00\x10\x00\x00"])
def test_nested_promises_reserve_no_memory(claim):
    """Each claims 2**20 entries, as many as there are bytes, inside another."""
    header = claim * 400 + bytes(2**21)
    lengths = len(header).to_bytes(4, "little") + bytes(4)
    tracemalloc.start()
    try:
        with pytest.raises(BadFrame):
            decode(wire.MAGIC + lengths + header)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_text_of_150_megabytes_arrives():
    text = "x" * 150_000_000
    assert crossed(text) == text


def test_integers_that_need_gradients_are_refused():
    data = frame("G", "int64", 1, 2, buffers=[F8])
    with pytest.raises(BadFrame):
        decode(data, gradients=True)
    assert not decode(data).requires_grad


@pytest.mark.parametrize("code", "CFT")
def test_a_true_is_always_one(code):
    """NumPy counts a 255 as 255 and then writes past the end."""
    seen = decode(frame(code, "bool", 1, 4, buffers=[b"\0\1\2\xff"]))
    seen = seen if code != "T" else seen.view(torch.uint8).numpy()
    assert seen.view(np.uint8).tolist() == [0, 1, 1, 1]
    assert bytes(decode(frame("g", "bool", b"\xff"))) == b"\1"


def colliding_keys(kind, number):
    """Keys that differ and share a hash; of tuples, -1 and -2 do."""
    if kind == "int":
        return [k * (2**61 - 1) for k in range(number)]
    bits = range(max(1, (number - 1).bit_length()))
    return [tuple(-1 - (k >> b & 1) for b in bits) for k in range(number)]


@pytest.mark.parametrize("kind", ["int", "tuple"])
@pytest.mark.parametrize("make", [set, frozenset, dict.fromkeys])
def test_keys_made_to_collide_are_refused(kind, make):
    few = make(colliding_keys(kind, wire.MAX_SAME_HASH))
    assert crossed(few) == few
    many = make(colliding_keys(kind, wire.MAX_SAME_HASH + 1))
    with pytest.raises(BadFrame, match="hash"):
        crossed(many)


def test_sets_of_sets_arrive():
    sets = {frozenset({1, (2, 3)}), frozenset()}
    for value in (sets, frozenset(sets), dict.fromkeys(sets)):
        assert_same(crossed(value), value)


def test_messages_show_little_of_what_came():
    for data in (frame("q" * 9999), frame("s", b"q" * 9999), frame("C", "q" * 9999)):
        with pytest.raises(BadFrame) as caught:
            decode(data)
        assert len(str(caught.value)) < 100


def test_many_keys_of_one_hash_cost_no_time():
    keys = colliding_keys("int", 20_000)
    header = ["S", len(keys)]
    for key in keys:
        header += ["i", key.to_bytes(10, "little", signed=True)]
    data = frame(*header)
    start = time.process_time()
    with pytest.raises(BadFrame, match="hash"):
        decode(data)
    assert time.process_time() - start < 1


# --- the socket ---


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def soon(seconds=0.3):
    return time.monotonic() + seconds


def in_thread(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_values_go_through_a_socket_both_ways(pair):
    near, far = pair
    values = [np.arange(300_000.0), {"a": [torch.ones(2)] * 200, "b": "x" * 300_000}]
    values += [None, [np.zeros(0)] * 3, Tagged("handle", 1), [np.ones(3)] * 1000]

    def echo():
        for _ in values:
            send(far, receive(far, max_bytes=MAX, kinds={"handle"}))

    thread = in_thread(echo)
    for value in values:
        send(near, value, deadline=soon(30))
        seen = receive(near, max_bytes=MAX, kinds={"handle"}, deadline=soon(30))
        assert_same(seen, value)
    thread.join(30)


def test_frames_wait_for_each_other_in_the_socket(pair):
    near, far = pair
    for number in range(5):
        send(near, [number, np.full(2, number)])
    for number in range(5):
        assert_same(receive(far, max_bytes=MAX), [number, np.full(2, number)])


def test_options_reach_the_socket(pair):
    near, far = pair
    weight = torch.ones(1, requires_grad=True)
    for value in (weight, weight):
        send(near, value)
    assert receive(far, max_bytes=MAX, gradients=True).requires_grad
    assert not receive(far, max_bytes=MAX).requires_grad
    send(near, Plain(), refer=lambda value: Tagged("handle", 1))
    with pytest.raises(BadFrame):
        receive(far, max_bytes=MAX)


def test_what_cannot_be_sent_leaves_the_socket_in_step(pair):
    near, far = pair
    for value, options in ((Plain(), {}), (np.ones(100), {"max_bytes": 10})):
        with pytest.raises(NotData):
            send(near, [1, value], **options)
    send(near, "next")
    assert receive(far, max_bytes=MAX) == "next"


def test_too_long_frames_are_refused_before_they_arrive(pair):
    near, far = pair
    far.sendall(frame(1, length=1001))
    with pytest.raises(BadFrame, match="1,000 bytes"):
        receive(near, max_bytes=1000, deadline=soon())
    near.sendall(frame(number=2) + (600).to_bytes(8, "little") * 2)
    with pytest.raises(BadFrame, match="1,000 bytes"):
        receive(far, max_bytes=1000, deadline=soon())


def test_a_buffer_too_many_is_refused_on_a_socket_too(pair):
    near, far = pair
    far.sendall(frame("C", "float64", 1, 2, buffers=[F8, F8]))
    with pytest.raises(BadFrame):
        receive(near, max_bytes=MAX, deadline=soon(30))


@pytest.mark.parametrize("size", [0, 5, 12, 18, 30])
def test_a_peer_that_closes_is_an_end_of_file(pair, size):
    near, far = pair
    far.sendall(encode(np.ones(9))[:size])
    far.close()
    with pytest.raises(EOFError):
        receive(near, max_bytes=MAX, deadline=soon(30))
    with pytest.raises(EOFError):
        send(near, np.ones(9), deadline=soon(30))


def test_a_peer_that_resets_is_an_end_of_file(pair):
    near, far = pair
    near.sendall(b"never read")
    far.close()
    with pytest.raises(EOFError):
        receive(near, max_bytes=MAX, deadline=soon(30))


@pytest.mark.parametrize("size", [0, 5, 12, 18, 30])
def test_a_silent_peer_costs_the_deadline_and_no_more(pair, size):
    near, far = pair
    far.sendall(encode(np.ones(9))[:size])
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(near, max_bytes=MAX, deadline=start + 0.2)
    assert 0.2 <= time.monotonic() - start < 5


def test_a_peer_that_reads_nothing_costs_the_deadline_and_no_more(pair):
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        send(pair[0], np.zeros(10**7), deadline=start + 0.2)
    assert 0.2 <= time.monotonic() - start < 5


def test_a_deadline_that_has_passed_counts_at_once(pair):
    near, far = pair
    send(far, 1)
    with pytest.raises(TimeoutError):
        receive(near, max_bytes=MAX, deadline=time.monotonic())
    with pytest.raises(TimeoutError):
        send(near, 1, deadline=time.monotonic())


def test_a_peer_that_trickles_is_cut_off_and_watched(pair):
    near, far = pair
    done, ticks = threading.Event(), []

    def trickle():
        data = encode([np.zeros(1, "i1")] * 4000)
        for k in range(len(data)):
            if done.wait(0.01):
                return
            far.sendall(data[k : k + 1])

    thread = in_thread(trickle)
    with pytest.raises(TimeoutError):
        receive(near, max_bytes=MAX, deadline=soon(1.5), tick=lambda: ticks.append(1))
    done.set()
    thread.join()
    assert len(ticks) >= 3


def test_the_tick_is_called_while_waiting_and_can_end_the_wait(pair):
    def stop():
        raise MemoryError("too much")

    with pytest.raises(MemoryError):
        receive(pair[0], max_bytes=MAX, deadline=soon(30), tick=stop)
    with pytest.raises(MemoryError):
        send(pair[0], np.zeros(10**7), deadline=soon(30), tick=stop)


def test_waiting_takes_no_processor_time(pair):
    start = time.process_time()
    with pytest.raises(TimeoutError):
        receive(pair[0], max_bytes=MAX, deadline=soon(0.7))
    assert time.process_time() - start < 0.3


def test_memory_is_taken_as_bytes_come_not_as_they_are_promised():
    """A process of its own, as the peak of this one is past."""
    code = """
import resource, socket, time
from grader.inside.wire import MAGIC, receive
near, far = socket.socketpair()
size = 1 << 29
far.sendall(MAGIC + size.to_bytes(4, "little") + bytes(4))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    receive(near, max_bytes=1 << 30, deadline=time.monotonic() + 0.1)
except TimeoutError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(told.stdout) < 100_000


def test_a_socket_is_left_as_blocking_as_it_was(pair):
    send(pair[0], 1, deadline=soon())
    receive(pair[1], max_bytes=MAX, deadline=soon())
    assert [os.get_blocking(s.fileno()) for s in pair] == [True, True]


@pytest.mark.parametrize("shape", [(4,), (1, 3), (3, 1), (1, 1, 5), (2, 1, 2)])
def test_every_way_to_slice_an_array_crosses(shape):
    base = np.arange(np.prod(shape) * 8.0).reshape(*shape, 8)
    for step in (1, -1, 3):
        for index in (0, 7, slice(None, None, step), slice(2, 3), slice(0, 0)):
            for array in (base[..., index], base[:1, ..., index], base.T[index]):
                got = crossed(array)
                assert got.shape == array.shape
                assert np.array_equal(got, array)
