"""All attacks: those of ``texts``, a kind a file, and those of ``tampering``.

In a text each attack is its name, a line on what it tries, and its cells:

    === NAME (plain)
    what it tries
    known: why it may succeed
    --- CELL: POINTS
    source of the cell

The points are those that its exercise earns where not all. What stands before the first
attack goes before the first cell of each.
"""

from collections.abc import Iterator
from pathlib import Path

from grader.attacks import Attack, tampering

TEXTS = Path(__file__).parent / "texts"


def read(path: Path) -> Iterator[Attack]:
    """Yield the attacks of a text."""
    shared, *attacks = f"\n{path.read_text(encoding='utf-8')}".split("\n=== ")
    for text in attacks:
        head, *parts = text.split("\n--- ")
        name, aim, *more = head.strip().splitlines()
        cells, points = {}, {}
        for part in parts:
            title, _, code = part.partition("\n")
            cell, _, earned = title.partition(": ")
            cells[cell] = code.strip() if cells else f"{shared}{code}".strip()
            if earned:
                points[cell] = float(earned)
        yield Attack(
            name=name.removesuffix(" (plain)"),
            kind=path.stem.replace("_", " "),
            aim=aim,
            cells=cells,
            points=points,
            plain=name.endswith(" (plain)"),
            known="".join(more).removeprefix("known: "),
        )


ATTACKS = (
    *(attack for path in sorted(TEXTS.glob("*.txt")) for attack in read(path)),
    *tampering.ATTACKS,
)
