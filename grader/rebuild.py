"""Rebuild the notebook to grade: the instructor's, with the student's answers put in.

The frame (order, graded cells, points, metadata) is the instructor's. From the
submission come the sources of solution cells, of ordinary cells that the student may
edit, and of cells that the student added. So a cell that was deleted, duplicated,
split, moved, renamed or retagged costs nobody a grade: each case resolves here, and
leaves a note where a person may want to look.
"""

import ast
import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode

from grader.cells import grade_id, is_graded, is_ordinary, is_solution

# what no answer needs, but one that lies about itself
_ODD = re.compile(
    r"(?:from|import)\s+(grader)\b|['\"](grader)\b|\b(alongside|ctypes|setitimer|setprofile"
    r"|settrace|pthread_sigmask|_getframe|currentframe|get_objects|get_referrers)\b"
)


@dataclass
class Rebuilt:
    """The notebook to grade, and a note for everything in the submission that was out
    of place."""

    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)


def rebuild(
    source: NotebookNode, release: NotebookNode, submitted: Sequence[dict]
) -> Rebuilt:
    """Return the instructor's notebook with the answers of a submission.

    ``source`` is the instructor's notebook with hidden checks, ``release`` what
    students were given, cell by cell the same; ``submitted`` are cells as
    ``grader.reading.read_cells`` gives.
    """
    return _Rebuilding(source, release, submitted).run()


class _Rebuilding:
    def __init__(self, source, release, submitted):
        # what a cell says in full, and what students were given
        full = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
        self.full = {name: cell.source for name, cell in full.items()}
        self.frame = [_clean(cell) for cell in release.cells]
        self.given = {cell.source for cell in [*source.cells, *release.cells]}
        for cell in self.frame:
            if name := grade_id(cell):
                # points are the instructor's of today
                marks = {**full[name].metadata.nbgrader}
                marks["checksum"] = cell.metadata.nbgrader.get("checksum")
                cell.metadata.nbgrader = nbformat.from_dict(marks)
        self.submitted = submitted
        # a copy: what is written into it is this submission's alone
        metadata = copy.deepcopy(release.metadata)
        self.notebook = nbformat.v4.new_notebook(metadata=metadata)
        self.notes: list[str] = []
        # which cell of the frame each submitted cell stands for: its position, or None
        self.owner: list[int | None] = [None] * len(submitted)

    def run(self) -> Rebuilt:
        for match in (
            self._match_grade_id,
            self._match_cell_id,
            self._match_source,
            self._match_names,
            self._match_place,
        ):
            match()
        answers = {i: self._parts(i) for i in range(len(self.frame))}
        added = self._added_after()
        for i, cell in enumerate(self.frame):
            self._place(i, cell, answers[i])
            for extra in added.get(i, []):
                self._append_plain(extra)
        for extra in reversed(added.get(-1, [])):
            self._append_plain(extra, at=0)
        self._note_odd()
        return Rebuilt(self.notebook, self.notes)

    # --- whose cell is it? ---

    def _claim(self, position: int, i: int) -> None:
        if self.owner[position] is None:
            self.owner[position] = i

    def _match_grade_id(self) -> None:
        ids = {grade_id(cell): i for i, cell in enumerate(self.frame) if grade_id(cell)}
        for position, cell in enumerate(self.submitted):
            told = cell["nbgrader"].get("grade_id")
            if isinstance(told, str) and told in ids:
                self._claim(position, ids[told])

    def _match_cell_id(self) -> None:
        ids = {cell.id: i for i, cell in enumerate(self.frame)}
        for position, cell in enumerate(self.submitted):
            if cell["id"] in ids:
                self._claim(position, ids[cell["id"]])

    def _match_source(self) -> None:
        """Take a cell for the ordinary one that it equals."""
        sources = {c.source: i for i, c in enumerate(self.frame) if is_ordinary(c)}
        for position, cell in enumerate(self.submitted):
            i = sources.get(cell["source"])
            if i is not None and i not in self.owner:
                self._claim(position, i)

    def _match_names(self) -> None:
        """Give a cell that defines what an unanswered solution cell asks for to that
        cell."""
        for i in self._unanswered("code"):
            wanted = _defined_names(self.frame[i].source)
            for position, cell in enumerate(self.submitted):
                if cell["cell_type"] == "code" and wanted & _defined_names(
                    cell["source"]
                ):
                    self._claim(position, i)

    def _match_place(self) -> None:
        """Give a free text cell to the unanswered question that stands right before
        it."""
        for i in self._unanswered("markdown"):
            before = [p for p, owner in enumerate(self.owner) if owner == i - 1]
            place = before[-1] + 1 if before else 0
            if (
                place < len(self.submitted)
                and self.submitted[place]["cell_type"] == "markdown"
            ):
                self._claim(place, i)

    def _unanswered(self, cell_type: str) -> list[int]:
        return [
            i
            for i, cell in enumerate(self.frame)
            if is_solution(cell) and cell.cell_type == cell_type and i not in self.owner
        ]

    # --- what goes where ---

    def _parts(self, i: int) -> list[str]:
        """Return the submitted sources that stand for the frame's cell ``i``, stubs
        left out.

        Copying or splitting a cell in JupyterLab copies its grade id, so there can be
        several: run in their order they mean what they meant to the student.
        """
        parts = [
            c["source"]
            for c, o in zip(self.submitted, self.owner, strict=True)
            if o == i
        ]
        stub = self.frame[i].source.strip()
        return [part for part in parts if part.strip() != stub] or parts[:1]

    def _added_after(self) -> dict[int, list[dict]]:
        """Return the cells that the student added, by the frame's cell that they
        follow."""
        added: dict[int, list[dict]] = {}
        last = -1
        for cell, owner in zip(self.submitted, self.owner, strict=True):
            if owner is not None:
                last = owner
            elif cell["source"].strip() and not cell["nbgrader"].get("grade"):
                added.setdefault(last, []).append(cell)
        return added

    def _place(self, i: int, cell: NotebookNode, parts: list[str]) -> None:
        if not is_solution(cell) and not is_ordinary(cell):
            self._note_locked(i, cell)
            cell.source = self.full[grade_id(cell)]
        elif parts:
            self._answer(cell, parts)
        elif is_solution(cell) and self._defined_elsewhere(cell):
            # merged with another, or written into a copy of another
            self.notes.append(f"{grade_id(cell)} is missing: another cell defines it")
            cell.source = ""
        elif is_solution(cell):
            self.notes.append(f"{grade_id(cell)} is missing: graded as unanswered")
        self.notebook.cells.append(cell)

    def _defined_elsewhere(self, cell: NotebookNode) -> bool:
        wanted = _defined_names(cell.source)
        defined: set[str] = set()
        for other, owner in zip(self.submitted, self.owner, strict=True):
            if owner is None or not is_graded(self.frame[owner]):
                defined |= _defined_names(other["source"])
        return cell.cell_type == "code" and bool(wanted) and wanted <= defined

    def _answer(self, cell: NotebookNode, parts: list[str]) -> None:
        if len(parts) > 1:
            name = grade_id(cell) or cell.id
            self.notes.append(
                f"{name} stands {len(parts)} times: all are kept, in their order"
            )
        if cell.cell_type == "code":
            for part in parts[:-1]:
                self._append_plain({"cell_type": "code", "source": part})
            cell.source = parts[-1]
        else:
            cell.source = "\n\n".join(parts)

    def _note_locked(self, i: int, cell: NotebookNode) -> None:
        count = self.owner.count(i)
        if count != 1 and is_graded(cell):
            what = "is missing" if not count else f"stands {count} times"
            self.notes.append(f"{grade_id(cell)} {what}: the instructor's is run, once")

    def _note_odd(self) -> None:
        """Note what a person should look at: code that handles what judges it."""
        for cell in self.notebook.cells:
            if cell.cell_type != "code" or cell.source in self.given:
                continue
            matches = _ODD.finditer(cell.source)
            if words := sorted({match[match.lastindex] for match in matches}):
                name = grade_id(cell) or cell.id
                self.notes.append(f"{name} uses {', '.join(words)}: have a look at it")

    def _append_plain(self, cell: dict, at: int | None = None) -> None:
        new = (
            nbformat.v4.new_code_cell
            if cell["cell_type"] == "code"
            else nbformat.v4.new_markdown_cell
        )
        at = len(self.notebook.cells) if at is None else at
        node = new(cell["source"], id=f"added-{len(self.notebook.cells)}-{at}")
        self.notebook.cells.insert(at, node)


def _clean(cell: NotebookNode) -> NotebookNode:
    """Return a copy of a released cell, without outputs."""
    cell = nbformat.from_dict({k: v for k, v in cell.items() if k != "attachments"})
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    return cell


def _defined_names(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}
