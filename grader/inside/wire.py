"""Values on their way between two processes, one of which the other can't trust.

A frame is ``MAGIC``, the length of a header, the number of buffers, their lengths, the
header, and the buffers: the entries of arrays and tensors. The header is a value in
prefix order as a run of msgpack scalars: ``None``, a bool, a float, bytes and an int of
64 bits stand for themselves, a text is a code that says what follows. Nothing is nested
for msgpack, so no header makes it reserve room for entries that never come.

Whatever arrives, the reader returns data or raises ``BadFrame``: it unpickles nothing,
and a name that it reads counts only if it stands in a table below.
"""

import math
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, count, cycle, islice, repeat
from typing import Any

import msgpack
import numpy as np

MAGIC = b"FOV1"
MAX_BYTES = 1 << 30
MAX_NODES = 1_000_000
MAX_DEPTH = 100
MAX_BUFFERS = 4096
MAX_DIMS = 32
# Python prints no longer ones
MAX_INT_BITS = 14_000
# entries of an empty array's sum over its empty axis, which has to fit into memory
MAX_EMPTY = 1 << 24
# adding a key takes time for every other key that has the same hash
MAX_SAME_HASH = 16
TICK_S = 0.2

_PREFIX = struct.Struct("<4sII")
_INTS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_NAMES = ["bool", *_INTS, "float16", "float32", "float64", "complex64", "complex128"]
_DTYPES = {name: np.dtype(name) for name in _NAMES}
_NAME_OF = {(dtype.kind, dtype.itemsize): name for name, dtype in _DTYPES.items()}
_TENSOR_NAMES = {*_NAMES, "bfloat16"}
_THEMSELVES = {type(None), bool, float, bytes}

Refer = Callable[[Any], "Tagged | None"]
Tick = Callable[[], None]


@dataclass(frozen=True)
class Tagged:
    """A reference of some ``kind`` to what can't cross itself; ``content`` is data."""

    kind: str
    content: Any


class NotData(TypeError):
    """A value can't cross.

    ``kind`` is the name of its type, ``path`` where in the whole it sits, ``why`` what
    is wrong with it, empty if it is the type.
    """

    def __init__(self, kind: str, why: str = "", path: str = ""):
        super().__init__(kind, why, path)
        self.kind, self.why, self.path = kind, why, path

    def __str__(self) -> str:
        at = f" at {self.path:.60}" + "…" * (len(self.path) > 60) if self.path else ""
        why = "where arrays, numbers, strings or containers of them are promised"
        return f"a value of type {self.kind}{at}, {self.why or why}"


class BadFrame(ValueError):
    """What arrived is no frame, or holds what isn't accepted here."""


# --- writing ---


def encode(
    value: Any, *, max_bytes: int = MAX_BYTES, refer: Refer | None = None
) -> list:
    """Return the frame of ``value`` in parts, to be joined; raise ``NotData`` if it
    isn't data.

    ``refer`` may return a ``Tagged`` to send in place of an object that isn't data.
    The parts of arrays that lie in one piece are views, not copies.
    """
    writer = _Writer(refer)
    writer.write(value)
    header, buffers = writer.packer.bytes(), writer.buffers
    sizes = [len(buffer) for buffer in buffers]
    if len(header) + sum(sizes) > max_bytes:
        why = f"of more than the {max_bytes:,} bytes that can cross at once"
        raise NotData(type(value).__name__, why)
    prefix = _PREFIX.pack(MAGIC, len(header), len(sizes))
    return [prefix + struct.pack(f"<{len(sizes)}Q", *sizes) + header, *buffers]


class _Writer:
    """Writes a header and collects the buffers.

    What counts is the type, as ``__class__`` can lie; a subclass is read through the
    methods of its base, and becomes the base.
    """

    def __init__(self, refer: Refer | None):
        self.packer = msgpack.Packer(autoreset=False, unicode_errors="surrogatepass")
        self.buffers: list[np.ndarray] = []
        self.nodes = self.depth = 0
        self.refer = refer

    def put(self, *tokens: Any) -> None:
        for token in tokens:
            self.packer.pack(token)

    def write(self, value: Any, key: int = 0) -> None:
        """Write a value; ``key`` is 1 in keys, and 2 in frozensets in keys."""
        kind = type(value)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise NotData(kind.__name__, f"after {MAX_NODES:,} others, the most")
        if kind in _THEMSELVES:
            self.packer.pack(value)
        elif issubclass(kind, str):
            self.put("s", str.__str__(value))
        elif issubclass(kind, bytes):
            self.put(bytes.__bytes__(value))
        # before the numbers, as np.float64 is a float
        elif issubclass(kind, np.generic):
            array, name = _native(value)
            self.put("g", name, array.tobytes())
        elif issubclass(kind, int):
            self.whole(int.__index__(value))
        elif issubclass(kind, float):
            self.put(float.__float__(value))
        elif issubclass(kind, complex):
            exact = complex.__complex__(value)
            self.put("c", exact.real, exact.imag)
        elif issubclass(kind, tuple):
            self.nest("t", [*tuple.__iter__(value)], repeat(key))
        elif issubclass(kind, frozenset) and key < 2:
            self.nest("z", [*frozenset.__iter__(value)], repeat(key + 1))
        elif kind is Tagged:
            self.nest("x", [value.kind, value.content], repeat(key))
        elif key:
            raise NotData(kind.__name__, "which can't be a key")
        elif issubclass(kind, np.ndarray):
            array, name = _native(value)
            fortran = array.flags.f_contiguous
            flat = (array.T if fortran else array).reshape(-1)
            # a line, too, may be a view with gaps, or backwards
            flat = flat if flat.strides == (array.itemsize,) else flat.copy()
            code = "F" if fortran else "C"
            self.buffer(code, name, array.shape, flat.view(np.uint8))
        elif issubclass(kind, list):
            self.nest("l", [*list.__iter__(value)])
        elif issubclass(kind, dict):
            flat = [*chain.from_iterable(dict.items(value))]
            places = (place for place in flat[::2] for _ in range(2))
            self.nest("d", flat, cycle((1, 0)), places)
        elif issubclass(kind, set):
            self.nest("S", [*set.__iter__(value)], repeat(1))
        elif (torch := sys.modules.get("torch")) and issubclass(kind, torch.Tensor):
            self.tensor(value, torch)
        elif self.refer and (tagged := self.refer(value)) is not None:
            self.write(tagged)
        else:
            raise NotData(kind.__name__)

    def whole(self, value: int) -> None:
        bits = value.bit_length()
        if bits < 64:
            self.put(value)
        elif bits <= MAX_INT_BITS:
            self.put("i", value.to_bytes(bits // 8 + 1, "little", signed=True))
        else:
            raise NotData("int", f"of more than {MAX_INT_BITS:,} bits")

    def nest(
        self,
        code: str,
        entries: list,
        keys: Iterable[int] = repeat(0),
        places: Iterable | None = None,
    ) -> None:
        """Write entries, each with whether it is a key, and what to call its place."""
        self.put(code, len(entries))
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotData("container", f"in {MAX_DEPTH} others, or in itself")
        triples = zip(entries, keys, places or count(), strict=False)
        for entry, key, place in triples:
            try:
                self.write(entry, key)
            except NotData as error:
                shown = f"{place!r:.40}" if type(place) in (int, str) else "…"
                error.path = f"[{shown}]{error.path}"
                raise
        self.depth -= 1

    def tensor(self, value: Any, torch: Any) -> None:
        try:
            with torch._C.DisableTorchFunctionSubclass():
                tensor = torch.Tensor.as_subclass(value, torch.Tensor)
                code = "G" if tensor.requires_grad else "T"
                tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
                # a single entry may be contiguous with any stride
                row = tensor.contiguous().as_strided((tensor.numel(),), (1,))
                flat = row.view(torch.uint8).numpy()
        except RuntimeError:
            raise NotData(type(value).__name__, "whose entries can't be read") from None
        name = str(tensor.dtype).removeprefix("torch.")
        if name not in _TENSOR_NAMES:
            why = f"of {name}, where numbers are promised"
            raise NotData(type(value).__name__, why)
        self.buffer(code, name, tuple(tensor.shape), flat)

    def buffer(self, code: str, name: str, shape: tuple, flat: np.ndarray) -> None:
        if len(shape) > MAX_DIMS or _oversized(shape):
            raise NotData(f"{name} array", f"of {len(shape)} axes, or empty and vast")
        if len(self.buffers) == MAX_BUFFERS:
            raise NotData(f"{name} array", f"after {MAX_BUFFERS:,} others")
        self.put(code, name, len(shape), *shape)
        self.buffers.append(flat)


def _native(value: np.ndarray | np.generic) -> tuple[np.ndarray, str]:
    """Return an array of NumPy's own type, in this machine's byte order, and the name
    of its dtype."""
    array = np.asarray(value)
    name = _NAME_OF.get((array.dtype.kind, array.dtype.itemsize))
    if name is None:
        why = f"of dtype {array.dtype}, where numbers are promised"
        raise NotData(type(value).__name__, why)
    return np.asarray(array, _DTYPES[name]), name


def _oversized(shape: tuple) -> bool:
    return 0 in shape and math.prod(axis or 1 for axis in shape) > MAX_EMPTY


# --- reading ---


def decode(
    frame: bytes, *, kinds: Collection[str] = frozenset(), gradients: bool = False
) -> Any:
    """Return the value that ``frame`` holds, of exact types and in memory of its own.

    Accepts ``Tagged`` of the given ``kinds`` only. A tensor requires a gradient where
    the sender's did, if ``gradients`` is set. Raises ``BadFrame``, and nothing else,
    for whatever is no such frame.
    """
    rest = memoryview(frame)

    def read(target: np.ndarray) -> None:
        nonlocal rest
        if len(rest) < len(target):
            raise BadFrame("the frame ends early")
        memoryview(target)[:], rest = rest[: len(target)], rest[len(target) :]

    value = _Reader(read, len(frame), kinds, gradients).frame()
    if rest:
        raise BadFrame("the frame goes on after its end")
    return value


class _Reader:
    """Reads a frame; ``read`` fills an array of bytes with what comes next."""

    def __init__(
        self,
        read: Callable[[np.ndarray], None],
        max_bytes: int,
        kinds: Collection[str],
        gradients: bool,
    ):
        self.read, self.max_bytes = read, max_bytes
        self.kinds, self.gradients = kinds, gradients
        self.nodes = self.depth = 0
        # the memory of arrays and tensors, which the buffers fill, and whether of bools
        self.targets: list[tuple[np.ndarray, bool]] = []

    def take(self, size: int) -> np.ndarray:
        # not a bytearray, which touches all of the memory that the sender claims
        target = np.empty(size, np.uint8)
        self.read(target)
        return target

    def frame(self) -> Any:
        magic, length, number = _PREFIX.unpack(self.take(_PREFIX.size))
        if magic != MAGIC or number > MAX_BUFFERS:
            raise BadFrame("this is not how a frame begins")
        sizes = struct.unpack(f"<{number}Q", self.take(8 * number))
        if length + sum(sizes) > self.max_bytes:
            raise BadFrame(f"a frame of more than {self.max_bytes:,} bytes")
        header = self.take(length)
        try:
            value = self.whole(header, sizes)
        except BadFrame:
            raise
        # msgpack, NumPy, PyTorch and Python refuse in many ways
        except Exception as error:
            raise BadFrame(f"{type(error).__name__}: {error!s:.200}") from None
        for target, are_bools in self.targets:
            self.read(target)
            if are_bools:
                # NumPy may write out of bounds where a true is not 1
                np.minimum(target, 1, out=target)
        return value

    def whole(self, header: np.ndarray, sizes: Iterable[int]) -> Any:
        """Return the value, the buffers of which are still to come."""
        self.sizes = iter(sizes)
        most = len(header)
        nothing_nested = {"max_array_len": 0, "max_map_len": 0, "max_ext_len": 0}
        unpacker = msgpack.Unpacker(
            unicode_errors="surrogatepass",
            max_buffer_size=most,
            **nothing_nested,
        )
        unpacker.feed(header)
        self.token = unpacker.unpack
        value = self.value()
        if unpacker.tell() != most or next(self.sizes, None) is not None:
            raise BadFrame("more came than the value")
        return value

    def value(self, key: int = 0) -> Any:
        """Return the next value; ``key`` is 1 in keys, and 2 in frozensets in keys."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise BadFrame(f"more than {MAX_NODES:,} values")
        code = self.token()
        if type(code) in _THEMSELVES or type(code) is int:
            return code
        match code:
            case "s":
                return self.one(str)
            case "i" if len(digits := self.one(bytes)) <= MAX_INT_BITS // 8 + 1:
                return int.from_bytes(digits, "little", signed=True)
            case "c":
                return complex(self.one(float), self.one(float))
            case "g":
                return self.scalar()
            case "t":
                return tuple(self.entries(repeat(key)))
            # comparing sets of sets of sets can take time without end
            case "z" if key < 2:
                return frozenset(_distinct(self.entries(repeat(key + 1))))
            case "x":
                return self.tagged(key)
            case "l" if not key:
                return self.entries(repeat(0))
            case "S" if not key:
                return set(_distinct(self.entries(repeat(1))))
            case "d" if not key:
                flat = self.entries(cycle((1, 0)))
                return dict(zip(_distinct(flat[::2]), flat[1::2], strict=True))
            case "C" | "F" if not key:
                return self.array(code)
            case "T" | "G" if not key:
                return self.tensor(code == "G" and self.gradients)
        raise BadFrame(f"{_shown(code)} where a {'key' if key else 'value'} begins")

    def one(self, kind: type) -> Any:
        token = self.token()
        if type(token) is not kind:
            raise BadFrame(f"{_shown(token)} where {kind.__name__} is due")
        return token

    def number(self, most: int = MAX_NODES) -> int:
        number = self.one(int)
        if not 0 <= number <= most:
            raise BadFrame(f"{number} stands where at most {most} can be")
        return number

    def name(self, names: Collection[str]) -> str:
        name = self.one(str)
        if name not in names:
            raise BadFrame(f"an array of {_shown(name)}")
        return name

    def entries(self, keys: Iterable[int]) -> list:
        """Return the entries of a container; ``keys`` tells which have to be keys."""
        size = self.number()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadFrame(f"containers in more than {MAX_DEPTH} others")
        found = [self.value(key) for key in islice(keys, size)]
        self.depth -= 1
        return found

    def tagged(self, key: int) -> Tagged:
        kind, content = self.entries(repeat(key))
        if kind not in self.kinds:
            raise BadFrame(f"a reference of kind {_shown(kind)}")
        return Tagged(kind, content)

    def scalar(self) -> np.generic:
        dtype = _DTYPES[self.name(_DTYPES)]
        entry = self.one(bytes)
        if len(entry) != dtype.itemsize:
            raise BadFrame(f"a {dtype} of {len(entry)} bytes")
        return np.frombuffer(entry, dtype)[0]

    def shape(self, itemsize: int) -> tuple[int, ...]:
        """Return a shape that the next buffer fills exactly."""
        shape = tuple(self.number(sys.maxsize) for _ in range(self.number(MAX_DIMS)))
        size = next(self.sizes, None)
        if math.prod(shape) * itemsize != size or _oversized(shape):
            raise BadFrame(f"{size} bytes for an array of shape {shape!s:.80}")
        return shape

    def array(self, order: str) -> np.ndarray:
        name = self.name(_DTYPES)
        dtype = _DTYPES[name]
        array = np.empty(self.shape(dtype.itemsize), dtype, order)
        flat = (array.T if order == "F" else array).reshape(-1)
        self.targets.append((flat.view(np.uint8), name == "bool"))
        return array

    def tensor(self, grad: bool) -> Any:
        name = self.name(_TENSOR_NAMES)
        import torch

        dtype = getattr(torch, name)
        tensor = torch.empty(self.shape(dtype.itemsize), dtype=dtype, device="cpu")
        flat = tensor.reshape(-1).view(torch.uint8).numpy()
        self.targets.append((flat, name == "bool"))
        return tensor.requires_grad_(grad)


def _shown(token: Any) -> str:
    # not all of it, which takes more memory than the frame
    return repr(token[:40]) if type(token) is str else type(token).__name__


def _distinct(keys: list) -> list:
    """Return the keys of a container, if they all differ and few share a hash."""
    crowd = len(keys) > MAX_SAME_HASH
    if crowd and max(Counter(map(hash, keys)).values()) > MAX_SAME_HASH:
        raise BadFrame(f"more than {MAX_SAME_HASH} keys of the same hash")
    if len(set(keys)) < len(keys):
        raise BadFrame("a key stands twice")
    return keys


# --- the socket ---


def send(
    sock: socket.socket,
    value: Any,
    *,
    max_bytes: int = MAX_BYTES,
    refer: Refer | None = None,
    deadline: float | None = None,
    tick: Tick | None = None,
) -> None:
    """Send ``value`` through a Unix stream socket.

    Raises ``NotData`` before anything is sent, ``EOFError`` if the peer is gone, and
    ``TimeoutError`` if it has not taken all by ``deadline``, on ``time.monotonic()``.
    Meanwhile ``tick`` is called every ``TICK_S`` seconds. After all errors but
    ``NotData`` the socket is out of step: close it.
    """
    line = _Line(sock, select.POLLOUT, deadline, tick)
    parts = encode(value, max_bytes=max_bytes, refer=refer)
    flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
    while parts:
        sent = line.attempt(sock.sendmsg, parts[:64], (), flags)
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if sent:
            parts[0] = memoryview(parts[0])[sent:]


def receive(
    sock: socket.socket,
    *,
    max_bytes: int,
    kinds: Collection[str] = frozenset(),
    gradients: bool = False,
    deadline: float | None = None,
    tick: Tick | None = None,
) -> Any:
    """Return the next value that comes through the socket, as ``decode`` does.

    Raises ``BadFrame`` for more than ``max_bytes``, too, and ``EOFError`` if the peer
    has closed its end; ``deadline`` and ``tick`` are those of ``send``. After an error
    the socket is out of step: close it.
    """
    line = _Line(sock, select.POLLIN, deadline, tick)

    def read(target: np.ndarray) -> None:
        view = memoryview(target)
        while view:
            size = line.attempt(sock.recv_into, view, 0, socket.MSG_DONTWAIT)
            if not size:
                raise EOFError("the peer has closed the socket")
            view = view[size:]

    return _Reader(read, max_bytes, kinds, gradients).frame()


class _Line:
    """Waits for a socket until a deadline, and ticks meanwhile."""

    def __init__(
        self,
        sock: socket.socket,
        event: int,
        deadline: float | None,
        tick: Tick | None,
    ):
        self.poll = select.poll()
        self.poll.register(sock, event)
        self.deadline = math.inf if deadline is None else deadline
        self.tick, self.due = tick, time.monotonic() + TICK_S

    def attempt(self, transfer: Callable[..., int], *arguments: Any) -> int:
        """Return how many bytes the transfer moved, once it could move any."""
        # the clock is read even if there is no need to wait, as a peer may trickle
        while (now := time.monotonic()) < self.deadline:
            if now >= self.due:
                self.due = now + TICK_S
                if self.tick:
                    self.tick()
            try:
                return transfer(*arguments)
            except BlockingIOError:
                self.poll.poll(1000 * (min(self.due, self.deadline) - now))
            except ConnectionError:
                raise EOFError("the peer has closed the socket") from None
        raise TimeoutError("the peer let the time limit pass")
