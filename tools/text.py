"""Cells of a py:percent text: reading them, and writing them back.

A small, strict part of jupytext's py:percent format, so that JupyterLab opens the
texts too: `# %%` starts a code cell, `# %% [markdown]` a prose cell whose lines all
start with `# `. Attributes follow on the same line: `role="tests" grade_id="a-b"
points=3`. Nothing stands before the first cell. An IPython magic is a comment, so
that the text stays Python.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

HEADER = re.compile(r"# %%( \[markdown\])?((?: \w+=(?:\"[^\"]*\"|[^\s\"]+))*)\s*")
ATTRIBUTE = re.compile(r" (\w+)=(\"[^\"]*\"|[^\s\"]+)")
MAGICS = "autoreload|capture|config|load_ext|matplotlib|prun|tensorboard|time|timeit"
MAGIC = re.compile(rf"# (%%?(?:{MAGICS})\b.*)")
DEFINITION = re.compile(r"def |class |async def |@")
# A comment that was meant to start a cell; left alone it would end up inside one.
NEARLY_HEADER = re.compile(
    rf"\s*#\s*(?:%%(?!(?:{MAGICS})\b)"
    r"|%?\s*\[(?:markdown|md|raw)\]\s*($|\w+=)"
    r"|%?.*\b(?:role|grade_id)\s*=\s*\"?\w)"
)


class Problem(NamedTuple):
    """What is wrong at one place, and what to do about it."""

    where: str
    found: str
    expected: str
    todo: str

    def __str__(self) -> str:
        found, expected, todo = self[1:]
        return (
            f"{self.where}\n"
            f"    found:    {found}\n"
            f"    expected: {expected}\n"
            f"    to do:    {todo}"
        )


class Rejected(Exception):
    """Input that is refused, with every problem that was found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell, where it stands in its text, and the very lines it was read from."""

    kind: str
    source: str
    attributes: tuple[tuple[str, str], ...] = ()
    number: int = 0
    line: int = 0
    first_line: int = 0
    text: str = ""

    def get(self, name: str) -> str | None:
        """The value of an attribute, without quotes."""
        value = dict(self.attributes).get(name)
        return value.strip('"') if value is not None else None

    @property
    def role(self) -> str | None:
        return self.get("role")

    @property
    def lines(self) -> list[str]:
        return self.source.split("\n")

    @property
    def label(self) -> str:
        name = self.get("grade_id") or self.role or self.kind
        return f"cell {self.number}, {name}"

    @property
    def content(self) -> tuple:
        """What the cell says, however it was written down."""
        points = self.get("points")
        points = float(points) if points and re.fullmatch(r"[\d.]+", points) else points
        return (self.kind, self.source, self.role, self.get("grade_id"), points)


def read_text(text: str, path: str) -> list[Cell]:
    """The cells of a text; `Rejected` says what keeps it from being read."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    starts = [i for i, line in enumerate(lines) if HEADER.fullmatch(line)]
    bounds = pairwise([*starts, len(lines)])
    cells = [
        _read_cell(lines[start:end], start + 1, number)
        for number, (start, end) in enumerate(bounds, 1)
    ]
    problems = [*_line_problems(lines, starts, path)]
    problems += [problem for cell in cells for problem in _cell_problems(cell, path)]
    if problems:
        raise Rejected(problems)
    return cells


def _line_problems(lines: list[str], starts: list[int], path: str) -> Iterator[Problem]:
    if not "".join(lines).strip():
        yield Problem(path, "an empty text", "cells", "write it, or delete the file")
    for number, line in enumerate(lines, 1):
        if number - 1 not in starts and NEARLY_HEADER.match(line):
            yield Problem(
                f"{path}:{number}",
                repr(line),
                '`# %%` or `# %% [markdown]`, then attributes as in role="tests", '
                "and no title",
                "write the cell's header in that form, or reword the comment",
            )
        elif line.strip() and number <= (starts[0] if starts else len(lines)):
            yield Problem(
                f"{path}:{number}",
                f"{line!r} before the first cell",
                "a text that starts with its first cell, without a YAML header",
                "move the line into a cell, or delete it",
            )


def _read_cell(lines: list[str], line: int, number: int) -> Cell:
    markdown, attributes = HEADER.fullmatch(lines[0]).groups()
    said = [i for i, content in enumerate(lines) if i and content.strip()]
    first, last = (said[0], said[-1]) if said else (1, 0)
    uncomment = _from_comment if markdown else _from_magic
    return Cell(
        kind="markdown" if markdown else "code",
        source="\n".join(map(uncomment, lines[first : last + 1])),
        attributes=tuple(ATTRIBUTE.findall(attributes)),
        number=number,
        line=line,
        first_line=line + first,
        text="\n".join(lines),
    )


def _from_comment(line: str) -> str:
    return line[2:] if line.startswith("# ") else line.removeprefix("#")


def _from_magic(line: str) -> str:
    magic = MAGIC.fullmatch(line)
    return magic[1] if magic else line


def _cell_problems(cell: Cell, path: str) -> Iterator[Problem]:
    where = f"{path}:{cell.line} ({cell.label})"
    if not cell.source.strip():
        yield Problem(where, "an empty cell", "text", "fill it, or delete it")
    names = [name for name, _ in cell.attributes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(where, f"{name} twice", "it once", "delete one of them")
    if cell.kind == "code":
        return
    for number, line in enumerate(cell.text.split("\n")[1:], cell.line + 1):
        if line.strip() and line != "#" and not line.startswith("# "):
            yield Problem(
                f"{path}:{number} ({cell.label})",
                f"{line!r} in a markdown cell",
                "a line that starts with `# `",
                "start it so, or put a `# %%` above it if it is code",
            )


def write_text(cells: list[Cell]) -> str:
    """The text of some cells; those that were read from a text keep their lines."""
    texts = [
        cell.text or _write_cell(cell, next_cell)
        for cell, next_cell in pairwise([*cells, None])
    ]
    return "\n".join(texts).rstrip("\n") + "\n"


def _write_cell(cell: Cell, next_cell: Cell | None) -> str:
    header = "# %% [markdown]" if cell.kind == "markdown" else "# %%"
    header += "".join(f" {name}={value}" for name, value in cell.attributes)
    to_line = _to_comment if cell.kind == "markdown" else _to_magic
    # A formatter wants two blank lines around a definition.
    tops = [line for line in cell.lines if line and line[0] not in " )"]
    defined = cell.kind == "code" and DEFINITION.match(next(reversed(tops), ""))
    defines = next_cell and next_cell.kind == "code"
    defines = defines and DEFINITION.match(next_cell.source)
    blank = ["", ""] if defined or defines else [""]
    return "\n".join([header, *map(to_line, cell.lines), *blank])


def _to_comment(line: str) -> str:
    return f"# {line}" if line else "#"


def _to_magic(line: str) -> str:
    return f"# {line}" if MAGIC.fullmatch(f"# {line}") else line


def keep_lines(cells: list[Cell], old: list[Cell]) -> list[Cell]:
    """The cells, each unchanged one with the very lines that it has in an old text."""
    said_before, said_now = [c.content for c in old], [c.content for c in cells]
    matcher = SequenceMatcher(None, said_before, said_now, autojunk=False)
    kept = list(cells)
    for i, j, size in matcher.get_matching_blocks():
        for k in range(size):
            kept[j + k] = replace(cells[j + k], text=old[i + k].text)
    return kept
