"""What ``nbgrader_config.py`` plugs into nbgrader, so that every road to a grade is the
same one.

``nbgrader autograde``, the formgrader's button and ``python -m grader autograde`` all
read a submission through ``SubmissionExporter``, run it in ``RunSubmission`` and write
its points in ``SaveVerdicts``.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Float

from grader.course import Assignment, Course
from grader.execution import Limits, Task, run
from grader.reading import read_cells
from grader.rebuild import Rebuilt, rebuild
from grader.verdicts import read_verdict


def rebuild_file(path: Path, assignment: Assignment) -> Rebuilt:
    """Return the notebook to grade for the submitted file at ``path``.

    Raises ``grader.reading.Damaged`` if the file is not a notebook.
    """
    source = nbformat.read(assignment.source_path, as_version=4)
    release = nbformat.read(assignment.release_path, as_version=4)
    rebuilt = rebuild(source, release, read_cells(path))
    rebuilt.notebook.metadata["fovea"] = {"notes": rebuilt.notes}
    return rebuilt


class SubmissionExporter(NotebookExporter):
    """Read a submission rebuilt; read what nbgrader itself wrote as it stands."""

    def from_filename(
        self, filename: str, resources: ResourcesDict | None = None, **kw: Any
    ) -> tuple[str, ResourcesDict]:
        if not self.parent._sanitizing:
            return super().from_filename(filename, resources=resources, **kw)
        path = Path(filename)
        course = Course(Path(self.parent.coursedir.root))
        assignment = course.assignment(resources["nbgrader"]["assignment"])
        rebuilt = rebuild_file(path, assignment)
        for note in rebuilt.notes:
            self.log.warning("%s: %s", filename, note)
        resources.setdefault("metadata", ResourcesDict())
        resources["metadata"].update(name=path.stem, path=str(path.parent))
        return self.from_notebook_node(rebuilt.notebook, resources=resources, **kw)


def run_in_thread(task: Task) -> str:
    """Run ``task`` away from the caller's event loop, which a Jupyter server needs for
    itself."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run, task).result()


class RunSubmission(NbGraderPreprocessor):
    """Run a rebuilt submission and take over its outputs."""

    cell_s = Float(Limits().cell_s, help="Seconds that one cell may take.").tag(
        config=True
    )
    notebook_s = Float(
        Limits().notebook_s, help="Seconds that one notebook may take."
    ).tag(config=True)

    # where tasks run: the class command puts its process pool here
    executor: Callable[[Task], str] = staticmethod(run_in_thread)

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        task = Task(
            notebook=nbformat.writes(nb),
            student=resources["nbgrader"]["student"],
            secret=Course.find(Path.cwd()).secret(),
            limits=Limits(cell_s=self.cell_s, notebook_s=self.notebook_s),
        )
        executed = nbformat.reads(type(self).executor(task), as_version=4)
        for cell, done in zip(nb.cells, executed.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = done.outputs, done.execution_count
        return nb, resources


class SaveVerdicts(SaveAutoGrades):
    """Write typed verdicts into the gradebook, where nbgrader would read printed
    text."""

    def _add_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        verdict = read_verdict(cell)
        score = verdict.score
        if score is None and _unanswered(cell):
            score = 0
        grade = self.gradebook.find_grade(
            verdict.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        grade.auto_score = score
        # a person's grade stays, and is looked at again
        grade.needs_manual_grade = grade.manual_score is not None or score is None
        self.gradebook.db.commit()


def _unanswered(cell: NotebookNode) -> bool:
    return cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
