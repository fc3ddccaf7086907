"""Builds the course's notebooks from their texts, and checks and imports them.

    python -m tools.notebooks build [--table]   write lectures, solutions, releases
    python -m tools.notebooks check             are the built ones those of the texts?
    python -m tools.notebooks import FILE       an edited notebook, back into its text

Each takes `--root DIR`, the course's folder. The exit status is 1 when something is
to be done; then nothing was written.
"""

import argparse
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import nbformat
from nbformat import NotebookNode

from tools.edits import loss, read_cells
from tools.release import gate_problems, release_text
from tools.rules import ROLES, Source, repeated_ids, source_problems
from tools.table import budget_table
from tools.text import Cell, Problem, Rejected, keep_lines, read_text, write_text

KERNEL = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}
TEXT_NAME = re.compile(r"(\d\d)_([a-z][a-z0-9]*(?:_[a-z0-9]+)*)")
# JupyterLab makes them beside an open notebook; git and nbgrader leave them out.
CHECKPOINTS = ".ipynb_checkpoints"
CACHE = "__pycache__"


# --- from a text to its notebooks ------------------------------------------------


def parse_source(text: str, place: str) -> Source:
    """A text that stands, or would stand, at a place of the course; or `Rejected`."""
    path = PurePosixPath(place)
    cells = tuple(read_text(text, place))
    source = Source(place, path.stem, path.parent.name == "lectures", cells)
    if problems := [*source_problems(source), *repeated_ids([source])]:
        raise Rejected(problems)
    return source


def to_notebook(source: Source) -> NotebookNode:
    """The notebook of a text, with markers, without outputs; the same one each time."""
    cells = []
    occurrences: Counter[tuple[str, str]] = Counter()
    for cell in source.cells:
        occurrences[cell.kind, cell.source] += 1
        parts = (cell.kind, cell.source, str(occurrences[cell.kind, cell.source]))
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        grade_id = cell.get("grade_id") or f"{source.prefix}locked-{digest}"
        metadata = {"nbgrader": _nbgrader(cell, grade_id)} if cell.role else {}
        new_cell = getattr(nbformat.v4, f"new_{cell.kind}_cell")
        cell_id = cell.get("grade_id") or digest
        cells.append(new_cell(cell.source, id=cell_id, metadata=metadata))
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def _nbgrader(cell: Cell, grade_id: str) -> dict:
    role = ROLES[cell.role]
    metadata = {
        "schema_version": 3,
        "cell_type": cell.kind,
        "grade_id": grade_id,
        "grade": role.graded,
        "solution": role.region == "SOLUTION",
        "locked": role.locked,
        "task": False,
    }
    if role.graded:
        points = float(cell.get("points"))
        metadata["points"] = int(points) if points.is_integer() else points
    return metadata


def built_files(source: Source) -> dict[str, str]:
    """The files that one text makes, by their place in the course; or `Rejected`."""
    solution = nbformat.writes(to_notebook(source)) + "\n"
    if source.lecture:
        return {f"lectures/{source.name}.ipynb": solution}
    release = release_text(solution, source.name, source.topic)
    notebook = nbformat.reads(release, as_version=4)
    if problems := list(gate_problems(source, notebook)):
        raise Rejected(problems)
    place = f"{source.name}/{source.topic}.ipynb"
    return {f"solutions/{place}": solution, f"assignments/{place}": release}


# --- the course: what it holds, and what it should hold --------------------------


def course_files(root: Path) -> tuple[list[Source], dict[str, str]]:
    """The course's texts and every file that they make; or `Rejected`, with all."""
    sources, files, problems = [], {}, []
    for path in _text_paths(root):
        try:
            sources.append(_read_source(path, root))
            files |= built_files(sources[-1])
        except Rejected as rejected:
            problems += rejected.problems
    if not problems:
        problems += _course_problems(root, sources)
        problems += _strays(root, files)
    if problems:
        raise Rejected(problems)
    return sources, files


def _text_paths(root: Path) -> list[Path]:
    folders = [root / "authoring" / name for name in ("lectures", "assignments")]
    paths = [path for folder in folders for path in sorted(folder.glob("*"))]
    return [path for path in paths if path.name[0] != "." and path.name != CACHE]


def _read_source(path: Path, root: Path) -> Source:
    place = path.relative_to(root).as_posix()
    named = path.suffix == ".py" and TEXT_NAME.fullmatch(path.stem)
    if not named or not path.is_file():
        expected = "NN_topic.py: two digits, then lower case, digits and underscores"
        todo = "rename it, or move it out of authoring/"
        raise Rejected([Problem(place, path.name, expected, todo)])
    return parse_source(_decode(path.read_bytes(), place), place)


def _decode(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        problem = Problem(place, str(error), "UTF-8", "save it as UTF-8")
        raise Rejected([problem]) from None


def _course_problems(root: Path, sources: list[Source]) -> Iterator[Problem]:
    """What is wrong between the texts."""
    if not sources:
        expected = "authoring/lectures/NN_topic.py, authoring/assignments/NN_topic.py"
        yield Problem(str(root), "no texts", expected, "give the course's folder")
    taken: dict[tuple, str] = {}
    for source in sources:
        for part in source.name.split("_", 1):
            other = taken.setdefault((source.lecture, part), source.path)
            if other != source.path:
                expected = f"a number and a topic of its own; {other} has this one"
                yield Problem(source.path, f"{part} again", expected, "rename one")
    yield from repeated_ids(sources)


def _strays(root: Path, files: Iterable[str]) -> Iterator[Problem]:
    """Files that no text makes: nbgrader copies what lies beside a notebook."""
    expected = {root / file for file in files}
    folders = {root / name for name in ("lectures", "solutions", "assignments")}
    folders |= {file.parent for file in expected}
    for folder in sorted(folders):
        for path in sorted(folder.glob("*")):
            place = path.relative_to(root).as_posix()
            released = place.startswith("assignments/")
            checkpoint = path.name == CHECKPOINTS and not released
            if path in expected | folders or checkpoint:
                continue
            todo = f"delete it (rm -r '{place}')"
            works = [path] if path.suffix == ".ipynb" else sorted(path.glob("*.ipynb"))
            if works and not released:
                work = works[0].relative_to(root).as_posix()
                todo += f", or make it a text first (make import NB='{work}')"
            yield Problem(place, "a file that no text makes", "built files", todo)


# --- commands --------------------------------------------------------------------


def build(root: Path, with_table: bool = False) -> str:
    """Writes what differs from the texts; what it did."""
    sources, files = course_files(root)
    changed = [file for file in files if _read(root / file) != files[file].encode()]
    for file in changed:
        _write(root / file, files[file].encode())
    lines = [f"wrote {file}" for file in changed]
    lines += [f"{len(files)} notebooks, {len(changed)} changed"]
    return "\n".join(lines + [budget_table(sources)] * with_table)


def check(root: Path) -> str:
    """That the built files are those of the texts; `Rejected` lists the others."""
    _, files = course_files(root)
    problems = []
    for file, content in files.items():
        found = _read(root / file)
        if found == content.encode():
            continue
        todo = "make build"
        if found and not file.startswith("assignments/"):
            todo += f" (or, to keep an edit made in it: make import NB={file})"
        fact = "no file" if found is None else "other content"
        problems.append(Problem(file, fact, "what its text makes", todo))
    if problems:
        raise Rejected(problems)
    return f"{len(files)} notebooks are those of their texts"


def import_notebook(root: Path, file: Path) -> str:
    """Writes an edited lecture or solution back into its text; what it did."""
    place = _text_of(root, file)
    prefix = place.stem.split("_", 1)[1].replace("_", "-") + "-"
    cells = read_cells(file.read_bytes(), str(file), prefix)
    old = _read(root / place)
    if old is not None:
        cells = keep_lines(cells, read_text(_decode(old, str(place)), str(place)))
    text = write_text(cells).encode()
    source = parse_source(text.decode(), str(place))
    if problems := list(loss(cells, source, str(file))):
        raise Rejected(problems)
    if text == old:
        return f"{place} says the same already"
    kept = ""
    if old is not None:
        kept = f"build/replaced/{place.stem}.{hashlib.sha256(old).hexdigest()[:8]}.py"
        _write(root / kept, old)
        kept = f" (before: {kept})"
    _write(root / place, text)
    count = sum(not cell.text for cell in cells)
    return f"wrote {place}{kept}; cells changed or new: {count}. Now: make build"


def _text_of(root: Path, file: Path) -> PurePosixPath:
    """The place of the text that a notebook belongs to."""
    place = file.resolve()
    if place.is_relative_to(root) and place.suffix == ".ipynb" and place.is_file():
        match place.relative_to(root).parts:
            case ("lectures", name) if TEXT_NAME.fullmatch(place.stem):
                return PurePosixPath("authoring/lectures", name).with_suffix(".py")
            case ("solutions", name, notebook) if TEXT_NAME.fullmatch(name):
                if notebook == name.split("_", 1)[1] + ".ipynb":
                    return PurePosixPath("authoring/assignments", f"{name}.py")
    expected = "lectures/NN_topic.ipynb or solutions/NN_topic/topic.ipynb"
    todo = "name one of those; a release or a submission lacks the solution"
    raise Rejected([Problem(str(file), "a notebook without a text", expected, todo)])


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _write(path: Path, content: bytes) -> None:
    """Writes a file so that whoever reads it meets the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in {
        "build": "write the notebooks that differ from their texts",
        "check": "compare the notebooks with their texts",
        "import": "write an edited notebook back into its text",
    }.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--root", type=Path, default=Path(__file__).parents[1])
        if name == "build":
            command.add_argument("--table", action="store_true", help="print budgets")
        if name == "import":
            command.add_argument("file", type=Path)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit status."""
    options = _parser().parse_args(arguments)
    root = options.root.resolve()
    try:
        match options.command:
            case "build":
                print(build(root, options.table))
            case "check":
                print(check(root))
            case "import":
                print(import_notebook(root, options.file))
    except Rejected as rejected:
        print(rejected, file=sys.stderr)
        print(f"{len(rejected.problems)} to do, nothing written", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
