"""nbgrader's configuration, which it finds when started from this folder."""

import os
from importlib.util import find_spec
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

# a submission is rebuilt on the instructor's notebook, run within limits, and given
# typed verdicts
c.Autograde.exporter_class = "grader.nbgrader_hooks.SubmissionExporter"
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "grader.nbgrader_hooks.RunSubmission",
    "grader.nbgrader_hooks.SaveVerdicts",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# Validate: a failing open check is a failure, although it gives no points
c.Validator.validate_all = True

# feedback and the formgrader show submissions as harmless, self-contained pages
c.HTMLExporter.filters = {"markdown2html": "grader.feedback.markdown_to_html"}
c.HTMLExporter.preprocessors = ["grader.feedback.Harmless"]
c.HTMLExporter.extra_template_basedirs = [
    str(Path(find_spec(package).origin).parent / "templates")
    for package in ("grader", "nbgrader.server_extensions.formgrader")
]
# students see no hidden tests
c.GenerateFeedback.preprocessors = [
    "grader.feedback.Grades",
    "grader.feedback.ForStudents",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
