"""What became of a class: scores, hard exercises, frequent mistakes, work to look at.

``summarize`` makes plain data of a class's results; ``report_table`` shows them in a
terminal, ``report_page`` in a browser.
"""

import base64
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fovea.plotting import COLORS, Picture, describe, use_style
from grader.checking import UNANSWERED
from grader.course import Assignment, BadInput
from grader.tables import table

# of fewer students, a figure or a correlation shows chance alone
ENOUGH_TO_DRAW, ENOUGH_TO_CORRELATE = 5, 10
# how many mistakes or messages of an exercise are listed
MOST = 5
# what makes a submission worth a look, the most urgent first, and how to say it
KINDS = {
    "not graded": "not graded",
    "Protocol": "its process broke the rules of exchange: a fault, or an attack",
    "ProcessDied": "its process crashed",
    "MemoryLimit": "used more memory than allowed",
    "TimeLimit": "ran into the time limit",
    "OutputLimit": "printed more than allowed",
    "no sandbox": "ran without a sandbox",
    "note": "note",
    "late": "late",
}


def load(assignment: Assignment) -> list[dict]:
    """Return an assignment's results, and a row for each submission that has none.

    A cell that a person has still to look at is ``waiting``. Raises ``BadInput`` if
    nothing was graded yet.
    """
    from grader.recording import results

    rows = results(assignment)
    if not rows:
        raise BadInput(
            f"{assignment.name} has no results to report; grade the class first:"
            f" python -m grader autograde {assignment.name}"
        )
    waiting = _waiting(assignment)
    for row in rows:
        for cell in row["cells"]:
            cell["waiting"] = (row["student"], cell["grade_id"]) in waiting
    known = {row["student"] for row in rows}
    missing = [s for s in assignment.students() if s not in known]
    return rows + [{"student": s, "problem": "no grade yet"} for s in missing]


def _waiting(assignment: Assignment) -> set[tuple[str, str]]:
    """Return student and cell of each grade that nbgrader asks a person for."""
    from nbgrader import api

    coursedir = assignment.course.nbgrader.coursedir
    with api.Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        found = (
            gradebook.db.query(api.SubmittedAssignment.student_id, api.BaseCell.name)
            .select_from(api.Grade)
            .join(api.Grade.cell)
            .join(api.Grade.notebook)
            .join(api.SubmittedNotebook.assignment)
            .join(api.SubmittedAssignment.assignment)
            .filter(api.Grade.needs_manual_grade)
            .filter(api.Assignment.name == assignment.name)
        )
        return set(map(tuple, found))


# --- from results to numbers ----------------------------------------------------------


def summarize(
    assignment: str, results: Sequence[dict], anonymous: bool = False
) -> dict[str, Any]:
    """Return the report on a class as data that JSON can hold; shares are from 0 to 1.

    ``results`` are as ``Result.to_dict()`` gives. With ``anonymous``, no student is
    named, and only messages that several students got are quoted.
    """
    graded = [r for r in results if not r.get("problem")]
    columns: dict[str, list[tuple[dict, float]]] = {}
    for result in graded:
        for cell in result["cells"]:
            if cell["max"]:
                pair = cell, result["score"]
                columns.setdefault(cell["grade_id"], []).append(pair)
    exercises, to_grade = [], []
    for grade_id, column in columns.items():
        about = {"grade_id": grade_id, "max": column[0][0]["max"]}
        scored = [pair for pair in column if pair[0]["score"] is not None]
        if scored:
            exercises.append(about | _exercise(scored, enough=2 if anonymous else 1))
        waiting = sum(c.get("waiting", c["score"] is None) for c, _ in column)
        if waiting:
            to_grade.append(about | {"students": waiting})
    return {
        "assignment": assignment,
        "graded": len(graded),
        "not_graded": len(results) - len(graded),
        "scores": _scores(graded) if graded else None,
        "exercises": exercises,
        "to_grade": to_grade,
        "attention": _attention(results, anonymous),
    }


def _scores(graded: Sequence[dict]) -> dict[str, Any]:
    scores, top = [r["score"] for r in graded], max(r["max"] for r in graded)
    names = ("lowest", "quartile_1", "median", "quartile_3", "highest")
    marks = np.percentile(scores, [0, 25, 50, 75, 100]).tolist()
    # about ten bins, of whole points; the upper end is the next one's, but the last's
    width = max(1, math.ceil(top / 10))
    last = math.ceil(top / width) - (width > 1)
    counts = Counter(min(int(score // width), last) for score in scores)
    bins = [(i * width, counts[i]) for i in range(last + 1)]
    return {
        "max": top,
        "mean": float(np.mean(scores)),
        **dict(zip(names, marks, strict=True)),
        "histogram": [{"from": a, "to": a + width, "students": n} for a, n in bins],
    }


def _exercise(column: Sequence[tuple[dict, float]], enough: int) -> dict[str, Any]:
    """Return how an exercise went; messages are quoted that ``enough`` students got."""
    cells = [cell for cell, _ in column]
    shares = np.array([cell["score"] / cell["max"] for cell in cells])
    rest = np.array([score - cell["score"] for cell, score in column])
    open_ = (shares == 0) & np.array([c["message"] == UNANSWERED for c in cells])
    failed = (shares < 1) & ~open_
    lost = [c for c, f in zip(cells, failed, strict=True) if f and c["message"]]
    return {
        "students": len(cells),
        "mean_share": float(shares.mean()),
        "full_share": float((shares >= 1).mean()),
        "part_share": float(((shares > 0) & (shares < 1)).mean()),
        "no_share": float((failed & (shares == 0)).mean()),
        "unanswered_share": float(open_.mean()),
        "correlation_with_rest": _correlation(shares, rest),
        "unnamed": sum(not cell["mistake"] for cell in lost),
        "failures": _failures(lost, enough),
    }


def _correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    if len(x) < ENOUGH_TO_CORRELATE or min(np.ptp(x), np.ptp(y)) < 1e-9:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _failures(cells: Sequence[dict], enough: int) -> list[dict[str, Any]]:
    """Return the mistakes, frequent ones first, with what the student reads.

    Failures without a name are one where their messages differ in numbers alone.
    """
    groups: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    for cell in cells:
        text, names = _said(cell["message"]), (cell["mistake"] or "").split(", ")
        for name in names:
            key = name, "" if name else re.sub(r"\b\d+(\.\d+)?", "0", text)
            # to quote the message of least besides: of few mistakes, and short
            groups.setdefault(key, []).append((len(names), len(text), text))
    found = []
    for (name, _), quotes in sorted(groups.items(), key=lambda g: (-len(g[1]), g[0])):
        several = [quote for quote in quotes if quotes.count(quote) >= enough]
        message = min(several, default=(0, 0, ""))[2]
        about = {"mistake": name or None, "students": len(quotes), "message": message}
        found.append(about)
    return found


def _said(message: str) -> str:
    """Return a message as one line, without what it repeats of several properties."""
    once: dict[str, str] = {}
    for part in message.split("; "):
        once.setdefault(part.partition(": ")[2] or part, part)
    return _line("; ".join(once.values()))


def _line(text: str, size: int = 200) -> str:
    """Return a stranger's text as one line, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= size else line[: size - 1] + "…"


def _attention(results: Sequence[dict], anonymous: bool) -> dict[str, Any]:
    reasons = {r["student"]: dict(_reasons(r)) for r in results}
    kinds = Counter(kind for found in reasons.values() for kind in found)
    if kinds["no sandbox"] == sum("not graded" not in f for f in reasons.values()):
        # true of all: the count says so once, rows need not
        for found in reasons.values():
            found.pop("no sandbox", None)
    rows = [
        {"student": _line(student, 40), "kinds": list(f), "text": "; ".join(f.values())}
        for student, f in reasons.items()
        if f
    ]
    rows.sort(key=lambda row: (_urgency(row["kinds"][0]), row["student"]))
    return {
        "kinds": {k: kinds[k] for k in sorted(kinds, key=_urgency) if kinds[k]},
        "submissions": [] if anonymous else rows,
    }


def _reasons(result: dict) -> Iterator[tuple[str, str]]:
    """Yield why a person should look at a submission: the kind, and a text."""
    if result.get("problem"):
        yield "not graded", f"not graded: {_line(result['problem'])}"
        return
    for flag in sorted(set(result.get("flags", ())), key=_urgency):
        yield flag, KINDS.get(flag, flag)
    if result.get("sandbox", "none") == "none":
        yield "no sandbox", KINDS["no sandbox"]
    if result.get("notes"):
        yield "note", "; ".join(map(_line, result["notes"]))
    if result.get("late_s"):
        yield "late", f"{result['late_s'] / 3600:.1f} h late"


def _urgency(kind: str) -> tuple[int, str]:
    # a kind that is not known here comes first, not last
    return (list(KINDS).index(kind) if kind in KINDS else -1), kind


# --- from numbers to tables -----------------------------------------------------------


class Section(NamedTuple):
    """A part of the report: a remark that says how to read it, and a table."""

    key: str
    title: str
    remark: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def sections(report: dict[str, Any]) -> list[Section]:
    """Return the parts of the report that have something to tell."""
    made = [_scores_section(report["scores"])] if report["scores"] else []
    if report["exercises"]:
        made.append(_exercises_section(report["exercises"]))
    made += [_failures_section(report), _person_section(report)]
    made = [section for section in made if section.rows or section.key == "scores"]
    return made + ([_look(report["attention"])] if report["attention"]["kinds"] else [])


def _scores_section(scores: dict[str, Any]) -> Section:
    bins = scores["histogram"]
    text = {k: _number(v) for k, v in scores.items() if k != "histogram"}
    remark = (
        "Of {max} points that checks give: mean {mean}, median {median}, half of the"
        " class between {quartile_1} and {quartile_3}, lowest {lowest}, highest"
        " {highest}."
    ).format(**text)
    counts = [b["students"] for b in bins]
    rows = [
        (_range(b), str(n), "#" * round(40 * n / max(counts)))
        for b, n in zip(bins, counts, strict=True)
        if sum(counts) >= ENOUGH_TO_DRAW
    ]
    return Section("scores", "Scores", remark, ("points", "students", ""), rows)


def _exercises_section(exercises: Sequence[dict]) -> Section:
    head = ("exercise", "points", "mean", "full", "unanswered", "with the rest")
    remark = "Mean: of the exercise's points. Full, unanswered: of the students."
    rows = []
    for e in exercises:
        shares = [f"{e[f'{key}_share']:.0%}" for key in head[2:5]]
        r = e["correlation_with_rest"]
        ends = "-" if r is None else f"{r:.2f}"
        rows.append((_name(e), _number(e["max"]), *shares, ends))
    if all(row[-1] == "-" for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    else:
        remark += (
            " With the rest: correlation with the points in all other exercises. Where"
            " it is near 0 or negative, strong students fail as often as weak ones:"
            " look at the exercise and its check."
        )
    return Section("exercises", "Exercises", remark, head, rows)


def _failures_section(report: dict[str, Any]) -> Section:
    unnamed = sum(e["unnamed"] for e in report["exercises"])
    remark = (
        f"The {MOST} most frequent failures of each exercise, with what the student"
        f" reads. In all, {unnamed} have no name: where many students read the same,"
        " the check may deserve one."
    )
    head, rows = ("exercise", "students", "mistake: message"), []
    for e in report["exercises"]:
        for f in e["failures"][:MOST]:
            text = f"{f['mistake'] or '(no name)'}: {f['message'] or '(not quoted)'}"
            rows.append((_name(e), str(f["students"]), text))
    return Section("failures", "What went wrong", remark, head, rows)


def _person_section(report: dict[str, Any]) -> Section:
    title, remark = "Still to be graded by a person", "In the formgrader."
    head, todo = ("exercise", "answers", "points each"), report["to_grade"]
    rows = [(_name(e), str(e["students"]), _number(e["max"])) for e in todo]
    return Section("person", title, remark, head, rows)


def _look(attention: dict[str, Any]) -> Section:
    counts = ", ".join(f"{kind} {n}" for kind, n in attention["kinds"].items())
    rows = [(row["student"], row["text"]) for row in attention["submissions"]]
    title, remark = "Submissions to look at", f"By reason: {counts}."
    return Section("look", title, remark, ("student", "why"), rows)


def _name(exercise: dict[str, Any]) -> str:
    # names of exercises differ at their ends, so a long one loses its middle
    name = exercise["grade_id"].removesuffix("-tests")
    return name if len(name) <= 36 else f"{name[:17]}…{name[-18:]}"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _range(part: dict[str, Any]) -> str:
    return f"{part['from']} to {part['to']}"


def _headline(report: dict[str, Any]) -> str:
    graded, not_graded = report["graded"], report["not_graded"]
    return f"{report['assignment']}: {graded} graded, {not_graded} not graded"


def report_table(report: dict[str, Any]) -> str:
    """Return the report as text for a terminal."""
    parts = [_headline(report)]
    for section in sections(report):
        text = [section.title.upper(), textwrap.fill(section.remark, 100)]
        if section.rows:
            text.append(table(section.head, section.rows))
        parts.append("\n".join(text))
    return "\n\n".join(parts)


# --- from numbers to a page -----------------------------------------------------------


def report_page(report: dict[str, Any]) -> str:
    """Return the report as a page of HTML that fetches and runs nothing."""
    pictures = {}
    if report["graded"] >= ENOUGH_TO_DRAW:
        with rc_context():
            use_style()
            pictures["scores"] = _draw_scores(report["scores"])
            if report["exercises"]:
                pictures["exercises"] = _draw_exercises(report["exercises"])
    folder = Path(__file__).with_name("templates")
    jinja = Environment(loader=FileSystemLoader(folder), autoescape=True)
    jinja.filters["base64"] = lambda png: base64.b64encode(png).decode()
    page = jinja.get_template("report/index.html.j2")
    made = sections(report)
    return page.render(headline=_headline(report), sections=made, pictures=pictures)


def _draw_scores(scores: dict[str, Any]) -> Picture:
    bins, median = scores["histogram"], scores["median"]
    ax = Figure(figsize=(6, 2.8)).add_subplot()
    starts, counts = [b["from"] for b in bins], [b["students"] for b in bins]
    width = bins[0]["to"]
    ax.bar(starts, counts, width, align="edge", color=COLORS["train"], edgecolor="w")
    ax.axvline(median, color=COLORS["val"])
    ax.set(xlabel="points", ylabel="students", xlim=(0, bins[-1]["to"]))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    half = f"Half of the class has {_number(median)} points or more"
    ax.set_title(f"{half} (line)")
    each = ", ".join(f"{_range(b)} points: {b['students']}" for b in bins)
    return describe(ax, f"{half}. Students by points: {each}.")


def _draw_exercises(exercises: Sequence[dict]) -> Picture:
    places, left = range(len(exercises)), np.zeros(len(exercises))
    ax = Figure(figsize=(7.5, 1.2 + 0.24 * len(exercises))).add_subplot()
    colors = {"full": COLORS["train"], "part": "#9CCBE8", "no": COLORS["val"]}
    for kind, color in (colors | {"unanswered": "#C8C8C8"}).items():
        shares = 100 * np.array([e[f"{kind}_share"] for e in exercises])
        label = kind if kind == "unanswered" else f"{kind} points"
        ax.barh(places, shares, 0.8, left, color=color, label=label)
        left += shares
    ax.set_yticks(places, [_name(e) for e in exercises])
    ends = {"xlim": (0, 100), "ylim": (len(exercises) - 0.5, -0.5)}
    ax.set(xlabel="% of the students", **ends)
    hardest = min(exercises, key=lambda e: e["mean_share"])
    title = f"Hardest: {_name(hardest)}, mean {hardest['mean_share']:.0%}"
    ax.set_title(title, pad=24)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderpad=0)
    words = "Students with full, part or no points, or no answer, by exercise."
    return describe(ax, f"{words} {title}. The table has the numbers.")
