"""Where a course keeps its things, found from ``nbgrader_config.py`` and read through
nbgrader."""

import contextlib
import difflib
import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

CONFIG_NAME = "nbgrader_config.py"
# macOS leaves ._NAME.ipynb beside NAME.ipynb on shared drives
_NOTEBOOK = "[!.]*.ipynb"


class BadInput(Exception):
    """A command was given what it cannot work with; the text says what, where, and what
    to do."""


@dataclass(frozen=True)
class Course:
    """The folders of one course; ``root`` holds its ``nbgrader_config.py``."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Course":
        """Return the course that ``start`` (by default the working folder) lies in."""
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / CONFIG_NAME).is_file():
                return cls(folder)
        raise BadInput(
            f"no {CONFIG_NAME} in {start} or above it, so this is not a course;"
            " change to the course's folder and run the command there"
        )

    @cached_property
    def nbgrader(self):
        """Return nbgrader's own API, set up from the course's configuration."""
        # nbgrader takes more than a second to import: only commands that need it pay
        import logging
        import warnings

        from nbgrader.apps import NbGraderAPI
        from traitlets.config import PyFileConfigLoader

        # the gradebook's rows are right, whatever SQLAlchemy remarks on their order
        warnings.filterwarnings("ignore", "Object of type <", RuntimeWarning)
        # nbgrader calls alembic by name, which lies beside the interpreter
        beside = str(Path(sys.executable).parent)
        os.environ["PATH"] = beside + os.pathsep + os.environ.get("PATH", "")
        config = PyFileConfigLoader(CONFIG_NAME, path=str(self.root)).load_config()
        api = NbGraderAPI(config=config)
        api.log_level = logging.INFO
        return api

    def folder(self, kind: str) -> Path:
        """Return the folder of one ``kind``: source, release, submitted, autograded,
        feedback."""
        return self.root / getattr(self.nbgrader.coursedir, f"{kind}_directory")

    @property
    def gradebook_path(self) -> Path:
        return Path(self.nbgrader.coursedir.db_url.removeprefix("sqlite:///"))

    def secret(self) -> str:
        """Return what hidden inputs are drawn from, besides the student; made on first
        use."""
        if "FOVEA_SECRET" in os.environ:
            return os.environ["FOVEA_SECRET"]
        path = self.root / "course_secret"
        if not path.exists():
            # created unreadable to others, and whole or not at all
            with tempfile.NamedTemporaryFile("w", dir=self.root, delete=False) as file:
                file.write(secrets.token_hex(16))
            Path(file.name).replace(path)
        return path.read_text(encoding="utf-8").strip()

    def assignments(self) -> list[str]:
        """Return the names of the assignments that have an instructor's notebook."""
        notebooks = self.folder("source").glob(f"[!.]*/{_NOTEBOOK}")
        return sorted({path.parent.name for path in notebooks})

    def assignment(self, name: str) -> "Assignment":
        """Return the assignment called ``name``; raise ``BadInput`` if there is
        none."""
        names = self.assignments()
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BadInput(
                f"no assignment is called {name!r}; {self.folder('source')} holds:"
                f" {', '.join(names) or 'none'}{hint}"
            )
        return Assignment(self, name)

    def assignment_of(self, path: Path, grade_ids: set[str]) -> "Assignment":
        """Return the assignment that a notebook answers.

        Its file's name tells, or, if it has another name, the ids of its cells.
        """
        notebooks: dict[Assignment, str] = {}
        for assignment in map(self.assignment, self.assignments()):
            # one that is out of order is no reason to refuse another's work
            with contextlib.suppress(BadInput):
                notebooks[assignment] = assignment.notebook
        for assignment, notebook in notebooks.items():
            if notebook == path.stem:
                return assignment
        shared = {a: len(grade_ids & a.grade_ids()) for a in notebooks}
        best = max(shared, key=shared.__getitem__, default=None)
        if best is not None and shared[best]:
            return best
        names = ", ".join(f"{notebook}.ipynb" for notebook in notebooks.values())
        raise BadInput(
            f"{path.name} is the notebook of no assignment, neither by its name nor by"
            f" its cells; expected one of: {names}. Say which with --assignment"
        )


@dataclass(frozen=True)
class Assignment:
    """One assignment of a course: an instructor's notebook, a release, and
    submissions."""

    course: Course
    name: str

    @property
    def source_path(self) -> Path:
        folder = self.course.folder("source") / self.name
        found = sorted(folder.glob(_NOTEBOOK))
        if len(found) != 1:
            raise BadInput(
                f"an assignment is one notebook, but {folder} holds"
                f" {', '.join(path.name for path in found) or 'none'}; move the others"
                " away, or into assignments of their own"
            )
        return found[0]

    @property
    def notebook(self) -> str:
        """The notebook's name, without ``.ipynb``."""
        return self.source_path.stem

    def grade_ids(self) -> set[str]:
        """Return the ids of the cells that nbgrader knows."""
        cells = json.loads(self.source_path.read_text(encoding="utf-8"))["cells"]
        tags = (cell["metadata"].get("nbgrader", {}) for cell in cells)
        return {tag["grade_id"] for tag in tags if "grade_id" in tag}

    @property
    def release_path(self) -> Path:
        path = self.course.folder("release") / self.name / self.source_path.name
        if not path.is_file():
            raise BadInput(
                f"{self.name} has no release at {path}; make it with"
                f" `nbgrader generate_assignment {self.name}` or `make build`"
            )
        return path

    def submission_folder(self, student: str) -> Path:
        return self.course.folder("submitted") / student / self.name

    def students(self) -> list[str]:
        """Return the ids of all students who submitted, in nbgrader's order."""
        found = self.course.folder("submitted").glob(f"*/{self.name}")
        return sorted(p.parent.name for p in found if p.is_dir())
