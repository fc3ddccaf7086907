"""The style budget of each text, as a table to look at."""

import re
from collections.abc import Iterable
from statistics import median

from tools.rules import Source

HEADER = ("text", "cells", "code", "median", "90 %", "max", "words/line")


def budget_table(sources: Iterable[Source]) -> str:
    """Cells, lines per code cell, and words of prose per line of code, by text."""
    rows = [HEADER, *map(_row, sources)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [
                text.rjust(width)
                for text, width in zip(row[1:], widths[1:], strict=True)
            ]
        )
        for row in rows
    )


def _row(source: Source) -> tuple[str, ...]:
    """One text's numbers; a cell counts with its blank lines and comments."""
    sizes = sorted(len(cell.lines) for cell in source.cells if cell.kind == "code")
    words = sum(
        len(re.findall(r"\w+", cell.source))
        for cell in source.cells
        if cell.kind == "markdown"
    )
    numbers = ("-", "-", "-", "-")
    if sizes:
        ninth = sizes[int(0.9 * (len(sizes) - 1))]
        ratio = words / sum(sizes)
        numbers = (f"{median(sizes):g}", str(ninth), str(sizes[-1]), f"{ratio:.1f}")
    name = source.path.removeprefix("authoring/")
    return (name, str(len(source.cells)), str(len(sizes)), *numbers)
