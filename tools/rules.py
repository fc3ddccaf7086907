"""What a text must keep to before it becomes a notebook.

nbgrader passes most of these in silence, and some of them ship the solution or the
hidden tests: it knows a marker by its exact letters and takes every other line for
text. So here a marker is exact, alone on its line, paired and in a cell of its kind,
and a line that only resembles one is refused. A graded cell always has a hidden part:
with both its markers deleted, the tests would ship.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

from IPython.core.inputtransformer2 import TransformerManager

from tools.text import Cell, Problem

GRADE_ID = re.compile(r"(?=.{1,64}$)[a-z0-9]+(?:-[a-z0-9]+)*")
POINTS = re.compile(r"\d+(\.\d+)?")
MARKERS = {
    "### BEGIN SOLUTION": ("begin", "SOLUTION"),
    "### END SOLUTION": ("end", "SOLUTION"),
    "### BEGIN HIDDEN TESTS": ("begin", "HIDDEN TESTS"),
    "### END HIDDEN TESTS": ("end", "HIDDEN TESTS"),
}
# nbgrader acts on these wherever they stand in a line; the course leaves its mark
# schemes and generated tests alone.
TRIGGERS = [marker.removeprefix("### ") for marker in MARKERS]
TRIGGERS += ["BEGIN MARK SCHEME", "END MARK SCHEME", "AUTOTEST"]
LECTURE_CELLS = 60
LECTURE_CELL_LINES = 30


@dataclass(frozen=True)
class Role:
    """What a role asks of its cell, and the flags that nbgrader gets."""

    kinds: tuple[str, ...]
    region: str | None = None
    graded: bool = False
    locked: bool = False


ROLES = {
    "solution": Role(("code",), "SOLUTION"),
    "tests": Role(("code",), "HIDDEN TESTS", graded=True, locked=True),
    "manual": Role(("code", "markdown"), "SOLUTION", graded=True),
    "locked": Role(("code", "markdown"), locked=True),
}


@dataclass(frozen=True)
class Source:
    """A text that was read: where it stands, its name, its kind and its cells."""

    path: str
    name: str
    lecture: bool
    cells: tuple[Cell, ...]

    @property
    def topic(self) -> str:
        return self.name.split("_", 1)[1]

    @property
    def prefix(self) -> str:
        """What the grade ids of this text start with."""
        return self.topic.replace("_", "-") + "-"

    def problem(self, cell: Cell, *facts: str, line: int = 0) -> Problem:
        return Problem(f"{self.path}:{line or cell.line} ({cell.label})", *facts)


def source_problems(source: Source) -> Iterator[Problem]:
    """Everything that is wrong with one text."""
    for cell in source.cells:
        if source.lecture:
            yield from _lecture_problems(source, cell)
        else:
            yield from _role_problems(source, cell)
            yield from _marker_problems(source, cell)
        if cell.kind == "code":
            yield from _code_problems(source, cell)
    if source.lecture and len(source.cells) > LECTURE_CELLS:
        yield source.problem(
            source.cells[-1],
            f"{len(source.cells)} cells",
            f"at most {LECTURE_CELLS} in a lecture",
            "merge some, or drop some",
        )


def repeated_ids(sources: Iterable[Source]) -> Iterator[Problem]:
    """Grade ids that stand twice, in one text or in two."""
    seen: dict[str, str] = {}
    for source in sources:
        for cell in source.cells:
            grade_id = cell.get("grade_id")
            if grade_id in seen:
                yield source.problem(
                    cell,
                    f"grade_id {grade_id!r} again",
                    f"an id of its own; {seen[grade_id]} has this one",
                    "rename the newer one: grades hang on the older",
                )
            elif grade_id:
                seen[grade_id] = f"{source.path}:{cell.line}"


# --- markers and what they enclose -----------------------------------------------


def regions(cell: Cell) -> list[range]:
    """The lines of each marked region, markers included."""
    marks = [i for i, line in enumerate(cell.lines) if line.strip() in MARKERS]
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return [range(begin, end + 1) for begin, end in pairs]


def visible_lines(cell: Cell) -> list[str]:
    """The lines of a cell that stand outside its marked regions."""
    marked = {i for region in regions(cell) for i in region}
    return [line for i, line in enumerate(cell.lines) if i not in marked]


def secret_lines(cell: Cell) -> list[str]:
    """The lines that stand between the markers of a cell."""
    return [cell.lines[i] for region in regions(cell) for i in region[1:-1]]


def resembles_marker(line: str, kind: str) -> bool:
    """Whether somebody may have meant this line for a marker, or nbgrader takes it so.

    In code `###` is reserved for markers. Besides, a short comment or a heading counts
    that speaks of the begin or end of a solution or of tests, and any line whose
    letters are nearly those of a marker.
    """
    if any(trigger in line for trigger in TRIGGERS):
        return True
    if kind == "code" and line.lstrip().startswith("###"):
        return True
    comment = line[line.find("#") :] if "#" in line else ""
    words = re.findall("[a-z]+", (comment if kind == "code" else line).lower())
    edges = {"begin", "end"} & {*words}
    names = {"solution", "solutions", "test", "tests"} & {*words}
    heading = kind == "code" or line.startswith("#")
    speaks = bool(edges and names) and heading and len(words) <= 5
    return speaks or _nearly_marker("".join(words))


@cache
def _nearly_marker(letters: str) -> bool:
    for marker in MARKERS:
        name = "".join(re.findall("[a-z]+", marker.lower()))
        if SequenceMatcher(None, letters, name, autojunk=False).ratio() >= 0.8:
            return True
    return False


def _marker_problems(source: Source, cell: Cell) -> Iterator[Problem]:
    allowed = ROLES[cell.role].region if cell.role in ROLES else None
    opened = None
    for number, line in enumerate(cell.lines, cell.first_line):
        marker = line.strip()
        if marker not in MARKERS:
            if resembles_marker(line, cell.kind):
                yield source.problem(
                    cell,
                    repr(marker),
                    ", ".join(MARKERS) + ": exact, and alone on its line",
                    "correct the marker, or reword the line if it is none",
                    line=number,
                )
            continue
        edge, region = MARKERS[marker]
        if region != allowed:
            yield source.problem(
                cell,
                f"{marker!r} in a cell of role {cell.role or 'none'}",
                'SOLUTION in role="solution" or "manual", HIDDEN TESTS in "tests"',
                "give the cell its role, or move the region into a cell that has it",
                line=number,
            )
        if (edge == "begin") == (opened is not None):
            yield source.problem(
                cell,
                repr(marker),
                "BEGIN and END by turns: regions don't nest",
                "pair the markers of this cell",
                line=number,
            )
        opened = region if edge == "begin" else None
    if opened:
        expected = f"### END {opened} after it"
        yield source.problem(
            cell, f"BEGIN {opened} without its END", expected, "add the line"
        )


# --- roles -----------------------------------------------------------------------


def _role_problems(source: Source, cell: Cell) -> Iterator[Problem]:
    for name, _ in cell.attributes:
        if name not in ("role", "grade_id", "points"):
            expected = "role, grade_id or points"
            yield source.problem(cell, f"attribute {name}", expected, "correct it")
    role = ROLES.get(cell.role)
    if role is None:
        if cell.attributes:
            found = f"role {cell.role!r}" if cell.role else "attributes without a role"
            expected = "one of the roles " + ", ".join(ROLES)
            todo = "correct the role, or delete the attributes"
            yield source.problem(cell, found, expected, todo)
        return
    if cell.kind not in role.kinds:
        yield source.problem(
            cell,
            f"role {cell.role} on a {cell.kind} cell",
            f"a {role.kinds[0]} cell",
            'change the role or the kind (a written answer has role="manual")',
        )
    yield from _grade_id_problems(source, cell)
    yield from _points_problems(source, cell, role)
    if role.region:
        yield from _region_problems(source, cell, role.region)


def _grade_id_problems(source: Source, cell: Cell) -> Iterator[Problem]:
    grade_id = cell.get("grade_id")
    if grade_id is None and cell.role == "locked":
        return
    if (
        grade_id is None
        or not GRADE_ID.fullmatch(grade_id)
        or not grade_id.startswith(source.prefix)
    ):
        yield source.problem(
            cell,
            "no grade_id" if grade_id is None else f"grade_id {grade_id!r}",
            f"{source.prefix}… in lower case, digits and single hyphens, at most 64",
            f'write grade_id="{source.prefix}…"',
        )


def _points_problems(source: Source, cell: Cell, role: Role) -> Iterator[Problem]:
    points = dict(cell.attributes).get("points")
    if not role.graded and points is not None:
        yield source.problem(
            cell,
            f"points={points} on role {cell.role}, which is not graded",
            "points on role tests or manual",
            "delete them, or move them to the graded cell",
        )
    elif role.graded and (
        points is None or not POINTS.fullmatch(points) or float(points) <= 0
    ):
        yield source.problem(
            cell,
            "no points" if points is None else f"points={points}",
            "a number above zero, without quotes, such as points=3",
            "write the points that the cell is worth",
        )


def _region_problems(source: Source, cell: Cell, region: str) -> Iterator[Problem]:
    if f"### BEGIN {region}" not in map(str.strip, cell.lines):
        todo = {
            "SOLUTION": "put the answer between the markers: without them nbgrader "
            "replaces the whole cell, signature and question too",
            "HIDDEN TESTS": "put the check between the markers; what students may see "
            "goes into a cell of its own before this one",
        }
        yield source.problem(
            cell,
            f"role {cell.role} without ### BEGIN {region}",
            f"a region ### BEGIN {region} … ### END {region}",
            todo[region],
        )
    for marked in regions(cell):
        lines = [cell.lines[i].strip() for i in marked[1:-1]]
        if cell.kind == "code":
            lines = [line for line in lines if not line.startswith("#")]
        if not any(lines):
            yield source.problem(
                cell,
                "markers with nothing between them",
                "an answer, or a check",
                "write it between them",
                line=cell.first_line + marked[0],
            )


# --- lectures, and code in general -----------------------------------------------


def _lecture_problems(source: Source, cell: Cell) -> Iterator[Problem]:
    if cell.attributes:
        found = " ".join(f"{name}={value}" for name, value in cell.attributes)
        expected = "no attributes: a lecture isn't graded"
        yield source.problem(cell, found, expected, "delete them")
    for number, line in enumerate(cell.lines, cell.first_line):
        if any(trigger in line for trigger in TRIGGERS):
            expected = "no marker: students open lectures as they are"
            found = repr(line.strip())
            yield source.problem(cell, found, expected, "delete it", line=number)
    if cell.kind == "code" and len(cell.lines) > LECTURE_CELL_LINES:
        yield source.problem(
            cell,
            f"{len(cell.lines)} lines of code",
            f"at most {LECTURE_CELL_LINES} in a cell of a lecture",
            "split the cell, or move helpers into fovea",
        )


def _code_problems(source: Source, cell: Cell) -> Iterator[Problem]:
    try:
        tree = parse_code(cell.source)
    except SyntaxError as error:
        line = cell.first_line + (error.lineno or 1) - 1
        expected = "Python, without warnings (IPython magics are fine)"
        yield source.problem(cell, error.msg, expected, "correct the code", line=line)
        return
    hidden = {cell.first_line + i for region in regions(cell) for i in region}
    for node in ast.walk(tree):
        line = cell.first_line + getattr(node, "lineno", 0) - 1
        if "grader" in {name.split(".")[0] for name in _imported(node)}:
            if cell.role != "tests" or line not in hidden:
                expected = "it between the markers of hidden tests alone"
                todo = "delete it, or move it there"
                found = "an import of grader where students see it"
                yield source.problem(cell, found, expected, todo, line=line)
    if cell.role == "tests":
        yield from _hidden_name_problems(source, cell, tree, hidden)


def _hidden_name_problems(
    source: Source, cell: Cell, tree: ast.Module, hidden: set[int]
) -> Iterator[Problem]:
    """What students would see of a graded cell, and could not run."""
    bound: dict[bool, set[str]] = {True: set(), False: set()}
    used = []
    for node in ast.walk(tree):
        line = cell.first_line + getattr(node, "lineno", 0) - 1
        bound[line in hidden] |= _bound(node)
        if isinstance(node, ast.Name) and line not in hidden:
            used.append((line, node.id))
    for line, name in used:
        if name in bound[True] - bound[False]:
            found = f"{name!r} outside the region that defines it"
            expected = "visible lines that run without the hidden ones"
            todo = "move the line between the markers, or the definition out of them"
            yield source.problem(cell, found, expected, todo, line=line)


def _bound(node: ast.AST) -> set[str]:
    """The names that a piece of code defines."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    return {node.id} if stored else set()


def parse_code(source: str) -> ast.Module:
    """The syntax tree of a cell; a warning of the compiler counts as an error."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = TransformerManager().transform_cell(source)
        warnings.simplefilter("error")
        try:
            tree = compile(code, "<cell>", "exec", flags, dont_inherit=True)
            # What only the compiler sees: a `return` that stands alone, `1 is 1`.
            flags -= ast.PyCF_ONLY_AST
            compile(tree, "<cell>", "exec", flags, dont_inherit=True)
        except ValueError as error:
            # A null byte, in Python 3.11, or half of a surrogate pair.
            raise SyntaxError(str(error)) from None
    return tree


def _imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
