"""Gather what a cell prints and displays, into the outputs of a notebook.

These are the outputs that nbclient would make of the messages of a kernel, and they are
plain data, whatever the cell's objects are.
"""

import base64
import contextlib
import datetime
import io
import json
import numbers
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

# What is shown of an error: how many frames, how many characters of each.
MAX_FRAMES = 40
MAX_FRAME = 10_000
# pictures of honest students take more room than their text
PICTURE_FACTOR = 20


class OutputLimit(BaseException):
    """A cell printed too much; not an ``Exception``, so that few catch it."""


class Collector:
    """Gathers the outputs of a cell, and follows display ids, as nbclient does."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cells: list[list[dict[str, Any]]] = []
        self.displays: dict[str, list[tuple[int, dict]]] = {}
        self.files: dict[int, Any] = {}
        # The output widgets that gather what is displayed, instead of the cell.
        self.widgets: list[str] = []
        self.outputs: list[dict[str, Any]] = []

    def begin(self, cell: bool) -> list[dict[str, Any]]:
        """Start with no outputs, of a cell or of something else."""
        self.size, self.full, self.clearing = 0, False, False
        self.pid = os.getpid()
        self.read = {1: 0, 2: 0}
        self.touched: set[int] = set()
        self.outputs = []
        self.widgets.clear()
        if cell:
            self.cells.append(self.outputs)
        return self.outputs

    def changed_earlier(self) -> dict[int, list[dict[str, Any]]]:
        return {n: self.cells[n] for n in self.touched if n < len(self.cells) - 1}

    def write(self, name: str, text: str) -> None:
        """Take text that Python code prints."""
        if os.getpid() != self.pid:
            self._write_in_child(1 if name == "stdout" else 2, text)
            return
        self.read_descriptors()
        self._stream(name, text)

    def add(
        self, output: dict, display_id: str | None = None, update: bool = False
    ) -> None:
        """Take an output; one with a known display id replaces what that shows."""
        packed = json.dumps(output, default=_plain, ensure_ascii=False, allow_nan=False)
        self.read_descriptors()
        if not self._has_room(len(packed) - _spared(output)) or self.widgets:
            return
        output = json.loads(packed.encode(errors="replace"))
        for cell, shown in self.displays.get(display_id, ()):
            shown.update(data=output["data"], metadata=output["metadata"])
            self.touched.add(cell)
        if not update:
            self._clear_if_asked()
            self.outputs.append(output)
            if display_id:
                place = (len(self.cells) - 1, output)
                self.displays.setdefault(display_id, []).append(place)

    def clear(self, wait: bool) -> None:
        self.read_descriptors()
        if not self.widgets:
            self.clearing = True
            if not wait:
                self._clear_if_asked()

    @contextlib.contextmanager
    def descriptors(self) -> Iterator[None]:
        """Lead file descriptors 1 and 2, which other programs write to, to files."""
        _flush_originals()
        if not self.files:
            self.files = {fd: tempfile.TemporaryFile(buffering=0) for fd in (1, 2)}
        saved = {fd: os.dup(fd) for fd in (1, 2)}
        for fd, file in self.files.items():
            file.seek(0)
            file.truncate()
            os.dup2(file.fileno(), fd)
        try:
            yield
        finally:
            _flush_originals()
            for fd, copy in saved.items():
                os.dup2(copy, fd)
                os.close(copy)

    def read_descriptors(self) -> None:
        """Take what was written to the file descriptors since the last look."""
        for fd, file in self.files.items():
            new = os.fstat(file.fileno()).st_size - self.read[fd]
            if new > 0 and not self.full:
                data = os.pread(file.fileno(), min(new, self.limit + 1), self.read[fd])
                self.read[fd] += new
                text = data.decode(errors="replace")
                self._stream("stdout" if fd == 1 else "stderr", text)

    def finish(self) -> None:
        """Bring the outputs into the form of a notebook."""
        with contextlib.suppress(OutputLimit):
            self.read_descriptors()
        for output in self.outputs:
            if output["output_type"] == "stream":
                text = "".join(output["text"])
                lines = text.encode(errors="replace").decode().split("\n")
                output["text"] = "\n".join(map(_overwritten, lines))
        if self.full:
            text = f"the cell printed more than {self.limit / 1e6:g} MB and was stopped"
            self.outputs[:] = [error_output("OutputLimit", text)]

    def _write_in_child(self, fd: int, text: str) -> None:
        if self.files and os.fstat(self.files[fd].fileno()).st_size > self.limit:
            raise OutputLimit
        os.write(fd, text.encode(errors="replace"))

    def _stream(self, name: str, text: str) -> None:
        if not text or not self._has_room(len(text)) or self.widgets:
            return
        self._clear_if_asked()
        last = self.outputs[-1] if self.outputs else {}
        if last.get("name") != name:
            last = {"output_type": "stream", "name": name, "text": []}
            self.outputs.append(last)
        last["text"].append(text)

    def _has_room(self, size: int) -> bool:
        """Count an output; raise ``OutputLimit`` at the first one that is too much."""
        if self.full:
            return False
        self.size += size
        if self.size > self.limit:
            self.full = True
            raise OutputLimit
        return True

    def _clear_if_asked(self) -> None:
        if self.clearing:
            self.outputs.clear()
            self.clearing = False


def _flush_originals() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):
            stream.flush()


def _overwritten(line: str) -> str:
    """Return what a line shows where a carriage return goes back to its start."""
    end = "\r" if line.endswith("\r") else ""
    return line.removesuffix(end).rpartition("\r")[2] + end


def shortened(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames in its middle, if it is very long."""
    frames = []
    while trace:
        frames.append(trace)
        trace = trace.tb_next
    if len(frames) > MAX_FRAMES:
        frames = frames[: MAX_FRAMES // 2] + frames[-MAX_FRAMES // 2 :]
    for frame in reversed(frames):
        trace = TracebackType(trace, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return trace


def error_output(
    name: str, text: str, traceback: list[str] | None = None
) -> dict[str, Any]:
    """Return the output that shows an error; unlike Jupyter's, it is never endless."""
    traceback = traceback or [f"\x1b[0;31m{name}\x1b[0m: {text}"]
    if len(traceback) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        left_out = f"... {len(traceback) - 2 * half} more ..."
        traceback = [*traceback[:half], left_out, *traceback[-half:]]
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text[:MAX_FRAME],
        "traceback": [frame[:MAX_FRAME] for frame in traceback],
    }


def _spared(output: dict) -> int:
    """Return how much of an output's size is forgiven: nearly all of its pictures."""
    data = output.get("data")
    if not isinstance(data, dict):
        return 0
    sizes = (
        len(v) * (4 if isinstance(v, bytes) else 3) // 3
        for mime, v in data.items()
        if str(mime).startswith("image/") and isinstance(v, (str, bytes))
    )
    return sum(size - size // PICTURE_FACTOR for size in sizes)


def _plain(value: Any) -> Any:
    """Return what JSON can hold, for what it can't; as jupyter_client does."""
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Iterable):
        return list(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{value!r} is not JSON serializable")


class OutStream(io.TextIOBase):
    """Takes the place of ``sys.stdout`` or ``sys.stderr``; has no ``buffer``, as in
    Jupyter."""

    encoding = "UTF-8"

    def __init__(self, name: str, collector: Collector) -> None:
        self.name, self.collector = name, collector

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        self.collector.write(self.name, text)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1 if self.name == "stdout" else 2
