"""A student's road: the lecture, then the assignment."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.answers import answer_of, place, read

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def errors(cells):
    """The errors in the outputs of cells: which cell, what it says."""
    outputs = [(i, o) for i, c in enumerate(cells) for o in c.get("outputs", [])]
    raised = [(i, o["evalue"]) for i, o in outputs if o["output_type"] == "error"]
    written = [
        (i, o["text"])
        for i, o in outputs
        if o["output_type"] == "stream" and o["name"] == "stderr"
    ]
    return raised + written


def positions(cells, text):
    """The places of the code cells that show an output with ``text`` in it."""
    return [i for i, c in enumerate(cells) if text in json.dumps(c.get("outputs", []))]


def test_lecture_runs_and_answers(lab, page, server, snap):
    lab.open(f"{server}/lab/tree/lectures/01_backprop.ipynb")
    lab.wait_for_kernel("lectures/01_backprop.ipynb")
    snap(page, "lecture-opened")

    cells = lab.run_all()
    assert errors(cells) == []
    counts = [c["execution_count"] for c in cells if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))

    # a slider changes its figure
    cell = lab.cell(positions(cells, "jupyter.widget-view+json")[0])
    figure = cell.locator(".jp-OutputArea-output img").first
    before = figure.get_attribute("src")
    snap(page, "lecture-widget-before")
    handle = cell.locator(".widget-slider .noUi-handle").first
    handle.focus()
    for _ in range(5):
        handle.press("ArrowRight")
    expect(figure).not_to_have_attribute("src", before)
    snap(page, "lecture-widget-after")

    # a question answers, and its answer was closed before
    cell = lab.cell(positions(cells, "Check yourself.")[0])
    option = cell.locator("details").first
    reply = option.locator("p")
    assert not reply.is_visible()
    option.locator("summary").click()
    reply.wait_for(state="visible")
    assert reply.inner_text().startswith(("Right.", "Not quite."))
    snap(page, "lecture-quiz")


def test_assignment_is_answered_checked_and_validated(lab, page, course, snap):
    lab.open_notebook("assignments/01_backprop/backprop.ipynb")
    snap(page, "assignment-opened")
    at = place(lab.cells(), "backprop-affine-forward")
    setup = [i for i, c in enumerate(lab.cells()[:5]) if c["cell_type"] == "code"]

    # without an answer the open checks fail, and say so
    cells = lab.run_cells(*setup, at, at + 1)
    assert [i for i, _ in errors(cells)] == [at + 1]
    lab.cell(at + 1)
    snap(page, "assignment-unanswered")

    # with an answer they pass
    type_into(lab, page, at, answer_of(course, "backprop-affine-forward"))
    snap(page, "assignment-typed")
    cells = lab.run_cells(at, at + 1)
    assert errors(cells) == []
    snap(page, "assignment-checked")

    # Validate runs the saved notebook anew and finds what is still unanswered
    page.locator(".validate-button:visible").click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for()
    expect(dialog).to_contain_text(re.compile("failed|passed"))
    snap(page, "assignment-validated")
    text = dialog.inner_text()
    assert "NotImplementedError" in text
    # open checks count, although they give no points
    assert "check_affine_backward" in text
    assert "check_affine_forward" not in text
    assert "out =" in read(course, "assignments").cells[at].source


def type_into(lab, page, position, text):
    """Replace a cell's text by typing."""
    editor = lab.cell(position).locator(".cm-content").first
    editor.click()
    page.keyboard.press("Control+A")
    # insert_text: the editor would add indentation to typed lines
    page.keyboard.insert_text(text)
