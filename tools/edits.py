"""The way back: the cells of a notebook that was edited in JupyterLab."""

import re
import warnings
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode

from tools.rules import ROLES, Role, Source
from tools.text import Cell, Problem, Rejected

# What editors write into cells, and what the builder writes anew.
VOLATILE = {"collapsed", "scrolled", "trusted", "execution", "ExecuteTime", "jupyter"}
VOLATILE |= {"deletable", "editable", "lines_to_next_cell", "vscode", "nbgrader"}


def read_cells(content: bytes, where: str, prefix: str) -> list[Cell]:
    """The cells of a notebook, with short tags; `Rejected` if one can't be told so.

    Outputs, cell ids and empty cells are left behind.
    """
    nodes = enumerate(_read_notebook(content, where).cells, 1)
    nodes = [
        (number, node)
        for number, node in nodes
        if node.source.strip() or node.metadata.get("nbgrader")
    ]
    cells = [_read_cell(node, number, prefix) for number, node in nodes]
    problems = [
        Problem(
            f"{where} ({cell.label})",
            found,
            "code or markdown, of role " + ", ".join(ROLES) + ", or of none",
            "change it in the notebook, then import again",
        )
        for cell, (_, node) in zip(cells, nodes, strict=True)
        for found in _untold(node, cell)
    ]
    if problems:
        raise Rejected(problems)
    return cells


def _read_notebook(content: bytes, where: str) -> NotebookNode:
    try:
        with warnings.catch_warnings():
            # Missing cell ids, say: they are derived anew.
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(content.decode(), as_version=4)
            nbformat.validate(notebook)
            # JSON can say what UTF-8 can't.
            nbformat.writes(notebook).encode()
    except Exception as error:
        found = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        expected = "a notebook of format 4"
        todo = "open it in JupyterLab and save it again"
        raise Rejected([Problem(where, found, expected, todo)]) from None
    return notebook


def _read_cell(node: NotebookNode, number: int, prefix: str) -> Cell:
    lines = node.source.split("\n")
    said = [i for i, line in enumerate(lines) if line.strip()]
    return Cell(
        kind=node.cell_type,
        source="\n".join(lines[said[0] : said[-1] + 1]) if said else "",
        attributes=tuple(_attributes(node.metadata.get("nbgrader", {}), prefix)),
        number=number,
    )


def _attributes(metadata: dict, prefix: str) -> Iterator[tuple[str, str]]:
    """The short tags that stand for nbgrader's metadata."""
    role = _role(metadata)
    if role is None:
        return
    yield "role", f'"{role}"'
    grade_id = str(metadata.get("grade_id", ""))
    if not re.fullmatch(re.escape(prefix) + "locked-[0-9a-f]{12}", grade_id):
        yield "grade_id", f'"{grade_id}"'
    if ROLES[role].graded and "points" in metadata:
        yield "points", str(metadata["points"])


def _role(metadata: dict) -> str | None:
    def flags(role: Role) -> tuple:
        return (role.graded, role.region == "SOLUTION", role.locked, False)

    names = ("grade", "solution", "locked", "task")
    found = tuple(bool(metadata.get(name)) for name in names)
    return next((name for name, role in ROLES.items() if flags(role) == found), None)


def _untold(node: NotebookNode, cell: Cell) -> Iterator[str]:
    """What a notebook's cell has that a text can't say."""
    if node.cell_type not in ("code", "markdown"):
        yield f"a {node.cell_type} cell"
    if node.get("attachments"):
        yield "an attachment"
    if node.metadata.get("nbgrader") and not cell.role:
        yield "an nbgrader cell of another kind"
    for key, value in node.metadata.items():
        if key not in VOLATILE and value:
            yield f"metadata {key}={value!r}"


def loss(cells: list[Cell], source: Source, where: str) -> Iterator[Problem]:
    """What a text would say otherwise than the notebook's cells it was made from."""
    said = [cell.content for cell in source.cells]
    for i, cell in enumerate(cells):
        if said[i : i + 1] != [cell.content]:
            yield Problem(
                f"{where} ({cell.label})",
                "a cell that its text would say otherwise",
                "no line like `# %% …`, and no magic in a comment",
                "change that line in the notebook, then import again",
            )
            return
