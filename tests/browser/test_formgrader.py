"""An instructor's road: release, autograde, grade by hand, feedback, grades."""

import csv
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.browser.answers import ASSIGNMENT, NOTEBOOK, answer_of, hand_in, read

pytestmark = [pytest.mark.browser, pytest.mark.sandbox, pytest.mark.slow]

WHY = """The sigmoid's slope is at most $\\frac14$, so $L$ layers leave $4^{-L}$:

$$\\frac{\\partial L}{\\partial W_1} \\propto \\prod_{l=2}^{L} \\sigma'(z_l)\\, W_l$$

<script>document.title = "taken over"</script>"""


@pytest.fixture
def formgrader(course, lab, page):
    """The formgrader in JupyterLab, for a class of one."""
    answers = {"backprop-vanishing-why": WHY}
    for grade_id in ("backprop-affine-forward", "backprop-relu-forward"):
        answers[grade_id] = answer_of(course, grade_id)
    hand_in(course, "emmy", answers)
    lab.execute("nbgrader:open-formgrader")
    return page.frame_locator('iframe[src*="formgrader"]')


def press(formgrader, row, icon):
    """Press a button in a row of a table; return what the formgrader says of it."""
    row.locator(f".glyphicon-{icon}").click()
    dialog = formgrader.locator(".modal.in")
    expect(dialog).to_be_visible()
    text = dialog.locator(".modal-body").inner_text()
    dialog.locator(".modal-footer button").click()
    expect(formgrader.locator(".modal")).to_have_count(0)
    return text


def test_class_is_graded_from_release_to_grades(
    formgrader, lab, page, course, environment, snap
):
    # release
    row = formgrader.locator("tr", has_text=ASSIGNMENT)
    expect(row).to_be_visible()
    snap(page, "formgrader-opened")
    assert "Successfully created" in press(formgrader, row, "education")
    assert "Successfully released" in press(formgrader, row, "cloud-upload")
    released = course / "exchange/fovea/outbound" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    assert "HIDDEN TESTS" not in released.read_text(encoding="utf-8")
    expect(row.locator(".num-submissions")).to_have_text("1")
    snap(page, "formgrader-released")

    # autograde
    row.locator(".num-submissions a").click()
    row = formgrader.locator("tr", has_text="emmy")
    expect(row).to_contain_text("needs autograding")
    assert "Successfully autograded" in press(formgrader, row, "flash")
    expect(row).to_contain_text("needs manual grading")
    total = sum(c.metadata.get("nbgrader", {}).get("points", 0) for c in cells(course))
    expect(row.locator(".score")).to_have_text(f"3 / {total}")
    snap(page, "formgrader-autograded")

    # grade by hand
    formgrader.get_by_role("link", name="Manual Grading").click()
    for link in (ASSIGNMENT, NOTEBOOK, "Submission #1"):
        formgrader.get_by_role("link", name=link).click()
    score = formgrader.locator("#backprop-vanishing-why")
    score.scroll_into_view_if_needed()
    answer = formgrader.locator(".nbgrader_cell", has=score)
    expect(answer.locator("math").last).to_be_visible()
    with page.expect_response(lambda r: "/api/grade/" in r.url and r.ok):
        score.fill("3.5")
        score.press("Tab")
    comment = formgrader.locator("#backprop-vanishing-why-comment")
    with page.expect_response(lambda r: "/api/comment/" in r.url and r.ok):
        comment.fill("Well argued. Which layers keep learning? Think of $W_L$.")
        comment.press("Tab")
    answer.scroll_into_view_if_needed()
    snap(page, "formgrader-manual")
    assert page.title() != "taken over"

    # feedback
    formgrader.get_by_role("link", name="Manual Grading").click()
    formgrader.get_by_role("link", name="Manage Assignments").click()
    formgrader.locator("tr", has_text=ASSIGNMENT).locator(".num-submissions a").click()
    row = formgrader.locator("tr", has_text="emmy")
    expect(row.locator(".score")).to_have_text(f"6.5 / {total}")
    assert "Successfully generated feedback" in press(formgrader, row, "comment")
    snap(page, "formgrader-graded")
    path = f"feedback/emmy/{ASSIGNMENT}/{NOTEBOOK}.html"
    lab.execute("docmanager:open", path=path)
    shown = page.frame_locator(".jp-HTMLViewer iframe")
    expect(shown.locator("h1").first).to_contain_text(f"6.5 of {total} points")
    snap(page, "feedback-opened")
    answer = shown.locator("#backprop-vanishing-why")
    answer.scroll_into_view_if_needed()
    expect(answer).to_contain_text("Well argued.")
    drawn = [formula.bounding_box() for formula in answer.locator("math").all()]
    assert len(drawn) == 5
    assert all(box["width"] > 0 and box["height"] > 0 for box in drawn)
    snap(page, "feedback-answer")
    html = (course / path).read_text(encoding="utf-8")
    assert "HIDDEN TESTS" not in html
    assert "grader.checks" not in html

    # grades for other systems
    command = [sys.executable, "-m", "nbgrader", "export", "--to", "grades.csv"]
    subprocess.run(command, cwd=course, env=environment, check=True)
    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        [line] = csv.DictReader(file)
    assert (line["student_id"], float(line["score"])) == ("emmy", 6.5)


def cells(course):
    """The cells of the instructor's notebook."""
    return read(course, "solutions").cells
