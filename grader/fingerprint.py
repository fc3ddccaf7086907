"""What decides a submission's result, as one short text: the same text, the same
result."""

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from grader.course import CONFIG_NAME, Assignment
from grader.execution import Limits
from grader.reading import MAX_FILE_BYTES


def class_fingerprint(assignment: Assignment, limits: Limits, sandbox: bool) -> str:
    """Return the SHA-256, as hex text, of what all submissions of a class share.

    That is the instructor's and the released notebook, the grader's own code and
    checks, the configuration, the limits, the course's secret, whether a sandbox is
    used, and the versions of what computes the numbers.
    """
    course = assignment.course
    files = (assignment.source_path, assignment.release_path, course.root / CONFIG_NAME)
    settings = (assignment.name, repr(limits), course.secret(), str(sandbox))
    texts = (*settings, grader_code())
    return _digest([*map(_content, files), *(text.encode() for text in texts)])


def fingerprint(common: str, assignment: Assignment, student: str) -> str:
    """Return the SHA-256, as hex text, of what decides the result of one submission.

    ``common`` is what ``class_fingerprint`` returned.
    """
    folder = assignment.submission_folder(student)
    files = (folder / assignment.source_path.name, folder / "timestamp.txt")
    return _digest([common.encode(), student.encode(), *map(_content, files)])


# folders whose code no result depends on
_NO_PART = ("browser", "attacks")


@cache
def grader_code() -> str:
    """Return the digest of the packages whose code takes part, and of versions."""
    parts = [platform.python_version().encode()]
    parts += [version(name).encode() for name in ("numpy", "torch", "nbgrader")]
    for package in ("grader", "fovea"):
        root = Path(find_spec(package).origin).parent
        for path in sorted(root.rglob("*.py")):
            if path.parent.name in _NO_PART:
                continue
            parts += [str(path.relative_to(root)).encode(), path.read_bytes()]
    return _digest(parts)


def _content(path: Path) -> bytes:
    """Return a file's bytes; for what will not be read as a submission, what it is
    instead."""
    if path.is_symlink():
        return b"a link"
    if not path.is_file():
        return b"no file"
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        return f"{size} bytes".encode()
    try:
        return b"file:" + path.read_bytes()
    except OSError as error:
        return str(error.strerror).encode()


def _digest(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        # digests are all of one length, so no two lists of parts run together
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()
