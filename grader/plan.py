"""What a graded cell needs: which names are the student's, and which of the
instructor's own cells have to run before it.

Found from the text of the instructor's notebook alone, so it is the same for all
students.
"""

import ast
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.cells import grade_id, is_graded, is_judged, is_solution

if TYPE_CHECKING:  # it takes a second, and workers start without
    from nbformat import NotebookNode

# the first line of cells of the instructor's that no grade needs
ASIDE = re.compile(r"# (Open checks?|To look at)\b")
# what a graded cell says to students is what it gets
STOPPED = re.compile(r"^# .*\bstopped after (\d+) seconds", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one graded cell needs.

    ``names`` live in the student's process; ``setup`` are the sources of cells that run
    in the judge's, in this order. The cell, and one call in it, may take ``seconds``,
    if that is more than any cell may.
    """

    names: tuple[str, ...]
    setup: tuple[str, ...]
    seconds: float = 0


def plan(source: "NotebookNode") -> dict[str, Needs]:
    """Return what each graded code cell of the instructor's notebook needs, by grade
    id.

    The names that a solution cell binds are the student's, and so are those of a cell
    that uses such names. The other cells (data, helpers) are the instructor's, and so
    is whatever is imported, wherever that stands: a verdict must not be reached with
    the student's NumPy.
    """
    theirs: set[str] = set()
    ours: list[_Cell] = []
    needs: dict[str, Needs] = {}
    for node in source.cells:
        if node.cell_type != "code":
            continue
        cell = _Cell.parse(node.source)
        if is_judged(node):
            needs[grade_id(node)] = Needs(
                names=tuple(sorted(cell.read & theirs)),
                setup=tuple(_setup(cell, ours, theirs)),
                seconds=float(stop[1]) if (stop := STOPPED.search(node.source)) else 0,
            )
            continue
        if is_solution(node) or cell.read & theirs:
            theirs |= cell.bound
            ours.append(cell.imports())
        else:
            ours.append(cell)
        theirs -= ours[-1].bound
    return needs


def asides(source: "NotebookNode", notebook: "NotebookNode") -> tuple[int, ...]:
    """Return the places of the cells of a rebuilt ``notebook`` that need not run for a
    grade.

    They are open checks, and what is there to be looked at, exactly as they stand in
    the instructor's ``source``, if no cell that runs reads a name that they bind.
    """
    ours = {c.source for c in source.cells if c.cell_type == "code" and _is_aside(c)}
    code = [(i, c) for i, c in enumerate(notebook.cells) if c.cell_type == "code"]
    if not any(cell.source in ours for _, cell in code):
        return ()
    cells = {i: _Cell.parse(cell.source) for i, cell in code}
    idle = {i for i, cell in code if cell.source in ours}
    while needed := {
        i
        for i in idle
        if any(cells[i].bound & cells[j].read for j in cells.keys() - idle)
    }:
        idle -= needed
    return tuple(sorted(idle))


def _is_aside(cell: "NotebookNode") -> bool:
    rated = is_graded(cell) or is_solution(cell)
    return not rated and bool(ASIDE.match(cell.source))


def _setup(cell: "_Cell", ours: Sequence["_Cell"], theirs: set[str]) -> list[str]:
    wanted, chosen = cell.read - theirs, []
    for other in reversed(ours):
        if other.bound & wanted:
            wanted |= other.read
            chosen.append(other.source)
    return chosen[::-1]


@dataclass(frozen=True, kw_only=True)
class _Cell:
    source: str
    read: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()

    @classmethod
    # most cells are the same in all submissions
    @functools.lru_cache(maxsize=4096)
    def parse(cls, source: str) -> "_Cell":
        # magics and shell commands are for Jupyter, not for the judge
        lines = ["" if x.startswith(("%", "!")) else x for x in source.splitlines()]
        source = "\n".join(lines)
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return cls(source="")
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        return cls(
            source=source,
            read=frozenset(n.id for n in names if isinstance(n.ctx, ast.Load)),
            bound=frozenset(_bound(tree.body)),
        )

    def imports(self) -> "_Cell":
        """Return the imports alone, as a cell of their own."""
        kinds = (ast.Import, ast.ImportFrom)
        body = [s for s in ast.parse(self.source).body if isinstance(s, kinds)]
        source = "\n".join(map(ast.unparse, body))
        return _Cell(source=source, bound=frozenset(_bound(body)))


def _bound(body: Sequence[ast.stmt]) -> set[str]:
    """Return the names that statements bind in their own scope."""
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(statement.name)
            continue
        for node in ast.walk(statement):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= {(a.asname or a.name).split(".")[0] for a in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
    return found
