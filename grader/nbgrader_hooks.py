"""What ``nbgrader_config.py`` plugs into nbgrader, so that every road to a grade is the
same one.

``nbgrader autograde`` and the formgrader's button read a submission through
``SubmissionExporter``, run it in ``RunSubmission`` and write its points in
``SaveVerdicts``. ``python -m grader autograde`` takes the same steps without nbgrader's
converter, which is slow.
"""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Float

from grader.cells import grade_id
from grader.course import Assignment, BadInput, Course
from grader.execution import Limits, Task
from grader.executors import run_here
from grader.fingerprint import class_fingerprint, fingerprint
from grader.plan import Needs, asides, plan
from grader.reading import Damaged, read_cells
from grader.rebuild import Rebuilt, rebuild
from grader.recording import Recorder, read_timestamp


def rebuild_file(path: Path, assignment: Assignment) -> Rebuilt:
    """Return the notebook to grade for the submitted file at ``path``.

    Raises ``grader.reading.Damaged`` if the file is not a notebook.
    """
    source = _parsed(assignment.source_path.read_bytes())
    release = _parsed(assignment.release_path.read_bytes())
    ids = [[grade_id(c) for c in nb.cells if grade_id(c)] for nb in (source, release)]
    if ids[0] != ids[1]:
        raise BadInput(
            f"{assignment.release_path} is no release of {assignment.source_path} as it"
            " is now: their graded and solution cells differ; make the release again"
            f" with `nbgrader generate_assignment {assignment.name} --force`"
        )
    rebuilt = rebuild(source, release, read_cells(path))
    for cell in rebuilt.notebook.cells:
        # as in the gradebook: of the cell with its hidden checks
        if utils.is_locked(cell):
            cell.metadata.nbgrader["checksum"] = utils.compute_checksum(cell)
    rebuilt.notebook.metadata["fovea"] = {"notes": rebuilt.notes}
    return rebuilt


# what the two return is kept for the next student: nobody may change it
@lru_cache(maxsize=8)
def _parsed(text: bytes) -> NotebookNode:
    notebook = nbformat.reads(text.decode("utf-8"), as_version=4)
    # notebooks before nbformat 4.5 have no ids
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{number}")
    return notebook


@lru_cache(maxsize=8)
def _planned(text: bytes) -> dict[str, Needs]:
    return plan(_parsed(text))


def make_task(
    notebook: NotebookNode,
    student: str | None,
    assignment: Assignment,
    limits: Limits,
    secret: str | None = None,
) -> Task:
    """Return the task of running a rebuilt notebook."""
    source = assignment.source_path.read_bytes()
    needs = _planned(source)
    more_s = sum(n.seconds for n in needs.values())
    return Task(
        notebook=json.dumps(notebook),
        needs=needs,
        asides=asides(_parsed(source), notebook),
        student=student,
        secret=assignment.course.secret() if secret is None else secret,
        limits=replace(limits, notebook_s=limits.notebook_s + more_s),
    )


def take_outputs(notebook: NotebookNode, executed: str) -> None:
    """Put the outputs of an executed notebook into the rebuilt one that it came
    from."""
    done = nbformat.v4.reads(executed)
    for cell, ran in zip(notebook.cells, done.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    notebook.metadata["fovea"] = done.metadata.get("fovea", {}) | {
        "notes": notebook.metadata.get("fovea", {}).get("notes", [])
    }


class SubmissionExporter(NotebookExporter):
    """Read a submission rebuilt; read what nbgrader itself wrote as it stands."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        # nbgrader gives up on some submissions before it reads them
        self._after_that = self.parent.pre_convert_hook
        self.parent.pre_convert_hook = self._forget

    def _forget(self, *, notebooks: list[str], **names: Any) -> None:
        """Before a submission is graded, take back what an earlier version of it
        got."""
        folder = Path(notebooks[0]).parent
        assignment = Course(Path(self.parent.coursedir.root)).assignment(folder.name)
        problem = "nbgrader did not finish; grade this student again"
        try:
            read_timestamp(folder)
            read_cells(folder / assignment.source_path.name)
        except Damaged as error:
            problem = str(error)
        with Recorder(assignment, self.parent.coursedir.db_url) as recorder:
            recorder.record_problem(folder.parent.name, problem)
        if self._after_that:
            self._after_that(notebooks=notebooks, **names)

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


class RunSubmission(NbGraderPreprocessor):
    """Run a rebuilt submission and take over its outputs."""

    cell_s = Float(Limits().cell_s, help="Seconds that one cell may take.").tag(
        config=True
    )
    notebook_s = Float(
        Limits().notebook_s, help="Seconds that one notebook may take."
    ).tag(config=True)

    sandbox = Bool(True, help="Whether student code runs in a sandbox.").tag(
        config=True
    )

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        task = make_task(
            nb,
            resources["nbgrader"]["student"],
            _assignment(resources),
            self.limits,
        )
        take_outputs(nb, run_here(task, self.sandbox))
        return nb, resources

    @property
    def limits(self) -> Limits:
        return Limits(cell_s=self.cell_s, notebook_s=self.notebook_s)


class SaveVerdicts(NbGraderPreprocessor):
    """Write typed verdicts into the gradebook, where nbgrader would read printed
    text."""

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        assignment, about = _assignment(resources), resources["nbgrader"]
        key = fingerprint(
            class_fingerprint(
                assignment,
                RunSubmission(parent=self.parent).limits,
                nb.metadata["fovea"].get("sandbox", "none") != "none",
            ),
            assignment,
            about["student"],
        )
        with Recorder(assignment, about["db_url"]) as recorder:
            recorder.record(about["student"], nb, key)
        return nb, resources


def _assignment(resources: ResourcesDict) -> Assignment:
    # nbgrader works in the course's folder
    return Course.find(Path.cwd()).assignment(resources["nbgrader"]["assignment"])
