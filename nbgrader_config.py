"""nbgrader's configuration; found by nbgrader and JupyterLab when started from this folder."""

import os
from pathlib import Path

root = Path(__file__).resolve().parent
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "fovea"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
c.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"

# where assignments are handed out and in; a class with a shared folder names it here
c.Exchange.root = os.environ.get("FOVEA_EXCHANGE", str(root / "exchange"))
c.Exchange.assignment_dir = str(root / "fetched")
Path(c.Exchange.root).mkdir(parents=True, exist_ok=True)

# a submission is rebuilt on the instructor's notebook, run within limits, and given typed verdicts
c.Autograde.exporter_class = "grader.nbgrader_hooks.SubmissionExporter"
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "grader.nbgrader_hooks.RunSubmission",
    "grader.nbgrader_hooks.SaveVerdicts",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
