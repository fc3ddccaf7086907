"""No bytes make the reader do anything but return plain data or raise ``BadFrame``."""

import random
import time
import tracemalloc

import msgpack
import numpy as np
import pytest
import torch

from grader.inside import wire
from grader.inside.wire import BadFrame, Tagged, decode

SCALARS = {type(None), bool, int, float, complex, str, bytes}
NUMPY_SCALARS = {np.dtype(name).type for name in wire._DTYPES}
TENSORS = {getattr(torch, name) for name in wire._TENSOR_NAMES}
KINDS = frozenset({"handle", "name"})
HEADER = 12
WORST_S = 1.0
WORST_BYTES = 20_000_000


def parts(value):
    """The frame of a value in pieces: header, and buffers."""
    data = b"".join(wire.encode(value))
    length, number = (int.from_bytes(data[k : k + 4], "little") for k in (4, 8))
    at = HEADER + 8 * number
    sizes = np.frombuffer(data[HEADER:at], "<u8").tolist()
    header, buffers, at = data[at : at + length], [], at + length
    for size in sizes:
        buffers.append(data[at : at + size])
        at += size
    return header, buffers


def joined(header, buffers):
    lengths = np.array([len(header), len(buffers)], "<u4").tobytes()
    sizes = np.array([len(b) for b in buffers], "<u8").tobytes()
    return b"".join([wire.MAGIC, lengths, sizes, header, *buffers])


def tokens(header):
    unpacker = msgpack.Unpacker(unicode_errors="surrogatepass")
    unpacker.feed(header)
    return list(unpacker)


def packed(items):
    return b"".join(msgpack.packb(t, unicode_errors="surrogatepass") for t in items)


SEEDS = [
    [None, True, -1, 2**70, 0.5, 1j, "text", "\ud800", b"bytes"],
    {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.ones((2, 3), "f4"))},
    [np.array([True, False]), np.zeros((0, 4)), np.array(3), np.float16(2), np.int8(1)],
    [torch.ones(2, 3), torch.ones(2, dtype=torch.bfloat16), torch.tensor([True])],
    torch.ones(3, requires_grad=True),
    {1: {(1, (2, "x")): {1, 2}}, frozenset({3}): [], np.float32(1.5): ()},
    [Tagged("handle", [1, "Net"]), (Tagged("name", "f"), {"k": [[[[]]]]})],
    [[np.ones(1)] * 20, [{"loss": 0.1, "step": k} for k in range(20)]],
]
PIECES = [parts(value) for value in SEEDS]
FRAMES = [joined(*piece) for piece in PIECES]
CODES = list("sictzxglSdCFTG")
NAMES = [*sorted(wire._TENSOR_NAMES), "object", "V8", "f8,f8", "load", "handle"]
COUNTS = [0, 1, 2, 3, 8, -1, 2**31, 2**32, 2**60, 2**63 - 1, 2**64 - 1, True]
OTHER = [None, 0.5, b"", b"\xff" * 8, "", [], [1, [2]], {}, {"a": 1}]


def token(rng):
    return rng.choice(rng.choice([CODES, CODES, NAMES, COUNTS, COUNTS, OTHER]))


def flip(rng):
    data = bytearray(rng.choice(FRAMES))
    for _ in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def flip_header(rng):
    header, buffers = rng.choice(PIECES)
    data = bytearray(header)
    for _ in range(rng.choice([1, 1, 2, 4])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return joined(bytes(data), buffers)


def truncate(rng):
    data = rng.choice(FRAMES)
    return data[: rng.randrange(len(data))]


def splice(rng):
    a, b = rng.choice(FRAMES), rng.choice(FRAMES)
    return a[: rng.randrange(len(a))] + b[rng.randrange(len(b)) :]


def edit_lengths(rng):
    data = bytearray(rng.choice(FRAMES))
    most = min(len(data), 40) // 4
    for _ in range(rng.choice([1, 2])):
        at = 4 * rng.randrange(1, most)
        number = rng.choice([0, 1, len(data), 2**31, 2**32 - 1, rng.randrange(99)])
        data[at : at + 4] = number.to_bytes(4, "little")
    return bytes(data)


def replace_tokens(rng):
    header, buffers = rng.choice(PIECES)
    items = tokens(header)
    for _ in range(rng.choice([1, 1, 2, 5])):
        items[rng.randrange(len(items))] = token(rng)
    return joined(packed(items), buffers)


def drop_or_repeat_tokens(rng):
    header, buffers = rng.choice(PIECES)
    items = tokens(header)
    at, size = rng.randrange(len(items)), rng.randrange(1, 4)
    items[at : at + size] = items[at : at + size] * rng.choice([0, 2, 50])
    return joined(packed(items), buffers)


def random_header(rng):
    items = [token(rng) for _ in range(rng.randrange(1, 30))]
    return joined(packed(items), [bytes(8)] * rng.randrange(4))


def nested_header(rng):
    """What is valid for msgpack, but nested."""

    def make(depth):
        if not depth or rng.random() < 0.3:
            return token(rng)
        if rng.random() < 0.3:
            return {rng.choice(CODES): make(depth - 1)}
        return [make(depth - 1) for _ in range(rng.randrange(4))]

    return joined(packed([make(5)]), [])


def promise(rng):
    """A header that claims vast containers in one another."""
    claims = [b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc6\x7f\xff\xff\xff"]
    claims += [b"\xdb\xff\xff\xff\xff", packed(["l", 10**6]), packed(["d", 10**6])]
    return joined(b"".join(rng.choices(claims, k=rng.randrange(1, 200))), [])


def swap_buffers(rng):
    header, buffers = rng.choice(PIECES[1:4])
    others = [*buffers, *rng.choice(PIECES[1:4])[1]]
    return joined(header, rng.choices(others, k=rng.randrange(len(buffers) + 2)))


def noise(rng):
    return joined(rng.randbytes(rng.randrange(60)), [rng.randbytes(8)])


MUTATIONS = [flip, flip_header, truncate, splice, edit_lengths, replace_tokens]
MUTATIONS += [drop_or_repeat_tokens, random_header, nested_header, promise]
MUTATIONS += [swap_buffers, noise]


def assert_plain(value, key=False):
    """Walk what came out: exact types, hashable keys, memory of its own."""
    kind = type(value)
    if kind in SCALARS or kind in NUMPY_SCALARS:
        return
    if kind is Tagged:
        assert value.kind in KINDS
        assert_plain(value.content, key)
    elif kind in (tuple, frozenset) or (kind in (list, set) and not key):
        for entry in value:
            assert_plain(entry, key or kind in (set, frozenset))
    elif kind is dict and not key:
        for entry, content in value.items():
            assert_plain(entry, True)
            assert_plain(content)
    elif kind is np.ndarray and not key:
        assert value.dtype.type in NUMPY_SCALARS
        assert value.flags.writeable
        assert value.size < 10**6
        if value.dtype == np.bool_:
            assert value.view(np.uint8).max(initial=0) <= 1
        value.sum()
    else:
        assert kind is torch.Tensor
        assert not key
        assert value.dtype in TENSORS
        assert not value.requires_grad
        assert value.device.type == "cpu"
        assert value.numel() < 10**6


def test_what_is_mutated_is_read_as_it_was_sent():
    for data in FRAMES:
        assert_plain(decode(data, kinds=KINDS))


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_mutated_frames_give_plain_data_or_bad_frame(mutate):
    rng, data = random.Random(mutate.__name__), 0
    for _ in range(2000):
        frame = mutate(rng)
        start = time.process_time()
        try:
            value = decode(frame, kinds=KINDS)
        except BadFrame:
            pass
        else:
            assert_plain(value)
            data += 1
        assert time.process_time() - start < WORST_S, frame.hex()
    # a mutation that never gets past the first check tests that check only
    if mutate in (flip, flip_header, replace_tokens, swap_buffers):
        assert data > 20


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_mutated_frames_take_little_memory(mutate):
    rng = random.Random(mutate.__name__)
    tracemalloc.start()
    try:
        for _ in range(100):
            frame = mutate(rng)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            try:
                decode(frame, kinds=KINDS)
            except BadFrame:
                pass
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < WORST_BYTES, frame.hex()
    finally:
        tracemalloc.stop()
