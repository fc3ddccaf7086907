"""An instructor grades a class from the formgrader, with one button."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.answers import ASSIGNMENT, NOTEBOOK, answer_of, hand_in

pytestmark = [pytest.mark.browser, pytest.mark.sandbox, pytest.mark.slow]

# a student's id is a folder's name, so it has no slash
HOSTILE = '<img src=x onerror="document.title=name">'


@pytest.fixture
def course(course):
    """A class of three: one answers, one is hostile, one's notebook is no notebook."""
    asked = ("backprop-affine-forward", "backprop-vanishing-why")
    hand_in(course, "ada", {name: answer_of(course, name) for name in asked})
    hand_in(course, HOSTILE, {})
    folder = course / "submitted" / "zoe" / ASSIGNMENT
    folder.mkdir(parents=True)
    damaged = json.dumps({"nbformat": HOSTILE, "cells": []})
    (folder / f"{NOTEBOOK}.ipynb").write_text(damaged)
    return course


def test_class_is_graded_with_progress(lab, page, snap):
    lab.execute("nbgrader:open-formgrader")
    frame = page.frame_locator('iframe[src*="formgrader"]')
    frame.get_by_role("link", name="Autograde a Class").click()
    panel = frame.locator("section", has_text=ASSIGNMENT)
    bar, line = panel.get_by_role("progressbar"), panel.locator(".line")
    start, again, stop = (
        panel.get_by_role("button", name=f"{name}: {ASSIGNMENT}")
        for name in ("Autograde all", "Again from scratch", "Stop")
    )
    expect(panel).to_contain_text("3 submitted, 0 graded")
    expect(stop).to_be_disabled()
    snap(page, "autograde-page")

    start.click()
    expect(stop).to_be_enabled()
    expect(start).to_be_disabled()
    expect(again).to_be_disabled()
    expect(bar).to_have_accessible_name(f"Graded of {ASSIGNMENT}")
    expect(line).to_contain_text("of 3")
    snap(page, "autograde-running")

    # the page may be left and comes back with all it had
    frame.get_by_role("link", name="Manual Grading").click()
    frame.get_by_role("link", name="Autograde a Class").click()
    expect(line).to_contain_text("of 3")
    expect(line).to_contain_text("Finished")
    expect(line).to_contain_text("3 of 3")
    expect(line).to_contain_text("1 submission could not be graded")
    expect(panel).to_contain_text("3 submitted, 2 graded")
    expect(panel.get_by_role("link", name="2 need a look")).to_have_attribute(
        "href", f"../formgrader/gradebook/{ASSIGNMENT}"
    )
    expect(frame.get_by_role("status")).to_contain_text("Finished")
    expect(stop).to_be_disabled()
    rows = panel.get_by_role("row")
    expect(rows.filter(has_text="ada")).to_contain_text(re.compile(r"\d+ of \d+"))
    # what students wrote is shown, not run
    expect(rows.filter(has_text=HOSTILE)).to_have_count(2)
    expect(rows.filter(has_text="zoe")).to_contain_text("nbformat '<img")
    assert panel.locator("img").count() == 0
    snap(page, "autograde-finished")

    # graded before, unless told otherwise
    start.click()
    expect(line).to_contain_text("3 unchanged since before")
    again.click()
    expect(line).to_contain_text("Finished")
    expect(line).not_to_contain_text("unchanged")

    panel.get_by_role("link", name="3 submitted").click()
    row = frame.locator("tr", has_text="ada")
    expect(row).to_contain_text("needs manual grading")
    snap(page, "autograde-submissions")


def test_run_outlives_a_reload_and_can_be_stopped(page, server, snap):
    page.goto(f"{server}/fovea/autograde")
    panel = page.locator("section", has_text=ASSIGNMENT)
    panel.get_by_role("button", name="Autograde all").click()
    stop = panel.get_by_role("button", name="Stop")
    expect(stop).to_be_enabled()
    page.reload()
    stop.click()
    expect(panel.locator(".line")).to_contain_text("Stopped")
    expect(panel.get_by_role("button", name="Autograde all")).to_be_enabled()
    snap(page, "autograde-stopped")
