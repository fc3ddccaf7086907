"""Read a submitted notebook, whatever state it is in, or say in one line what is wrong
with it."""

import json
from pathlib import Path

MAX_FILE_BYTES = 200_000_000
MAX_CELL_CHARACTERS = 1_000_000

_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


class Damaged(Exception):
    """A submission cannot be graded; the text is one line for a person to act on."""


def read_cells(path: Path) -> list[dict]:
    """Return the cells of the notebook at ``path`` as nbformat 4 dicts, without
    outputs.

    Byte-order marks, UTF-16 and notebooks of nbformat 3 are read; anything else that is
    not a notebook raises ``Damaged``.
    """
    notebook = _parse(_decode(_read_bytes(path), path), path)
    cells = _cells(notebook, path)
    return [_clean(cell, number, path) for number, cell in enumerate(cells, 1)]


def _read_bytes(path: Path) -> bytes:
    if path.is_symlink():
        raise Damaged(
            f"{path.name} is a link, where a notebook file is expected; ask for the"
            " file"
        )
    if not path.is_file():
        raise Damaged(
            f"{path.name} is missing; ask the student to submit a file of this name"
        )
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise Damaged(
            f"{path.name} has {size / 1e6:.0f} MB, where at most"
            f" {MAX_FILE_BYTES / 1e6:.0f} MB are read; ask the student to clear all"
            " outputs and submit again"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read: {error.strerror}") from None


def _decode(raw: bytes, path: Path) -> str:
    encoding = next(
        (e for bom, e in _BYTE_ORDER_MARKS.items() if raw.startswith(bom)), "utf-8"
    )
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise Damaged(
            f"{path.name} is not UTF-8 text (byte {error.start} is"
            f" {raw[error.start]:#04x}); ask the student to save it in JupyterLab and"
            " submit again"
        ) from None


def _parse(text: str, path: Path) -> dict:
    if not text.strip():
        raise Damaged(f"{path.name} is empty; ask the student to submit again")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = (
            f" at line {error.lineno}"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        raise Damaged(
            f"{path.name} is cut off or damaged: no valid JSON{at}; ask the student to"
            " submit again"
        ) from None
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise Damaged(f"{path.name} is JSON but not a notebook: it has no nbformat")
    return notebook


def _cells(notebook: dict, path: Path) -> list:
    version = notebook["nbformat"]
    if version == 3:
        notebook = _upgrade(notebook, path)
    elif version != 4:
        raise Damaged(
            f"{path.name} is of nbformat {version!r}, where 4 is expected;"
            " ask the student to save it in JupyterLab and submit again"
        )
    if not isinstance(notebook.get("cells"), list):
        raise Damaged(
            f"{path.name} has no list of cells; ask the student to submit again"
        )
    return notebook["cells"]


def _upgrade(notebook: dict, path: Path) -> dict:
    import nbformat

    try:
        # files have a list of lines, where notebooks in memory have one text
        whole = nbformat.v3.rwbase.rejoin_lines(nbformat.from_dict(notebook))
        return nbformat.v4.upgrade(whole, from_version=3)
    # nbformat raises whatever the damage makes it stumble over
    except Exception as error:
        raise Damaged(
            f"{path.name} is of nbformat 3 and cannot be brought to 4"
            f" ({type(error).__name__}); ask the student to save it in JupyterLab and"
            " submit again"
        ) from None


def _clean(cell: object, number: int, path: Path) -> dict:
    """Return a cell's type, id, source and nbgrader metadata, all of them of the right
    kind."""
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise Damaged(
            f"cell {number} of {path.name} is not a cell; ask the student to submit"
            " again"
        )
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(map(str, source))
    if not isinstance(source, str) or len(source) > MAX_CELL_CHARACTERS:
        raise Damaged(
            f"cell {number} of {path.name} holds more than {MAX_CELL_CHARACTERS:,}"
            " characters of source, or no text at all; ask the student to submit again"
        )
    # lone surrogates are valid JSON, but no text that can be written anywhere
    source = source.encode("utf-8", "replace").decode("utf-8")
    metadata = cell.get("metadata")
    tags = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return {
        "cell_type": cell["cell_type"],
        "id": cell.get("id") if isinstance(cell.get("id"), str) else None,
        "source": source,
        "nbgrader": tags if isinstance(tags, dict) else {},
    }
