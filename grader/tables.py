"""Plain-text tables for the terminal."""

import shutil
import textwrap
from collections.abc import Sequence

from grader.check import Checked
from grader.verdicts import Result, Verdict


def check_table(checked: Checked) -> str:
    """Return the verdicts on one notebook as a table, an exercise a row, and what to
    mend."""
    rows = [_verdict_row(verdict) for verdict in checked.verdicts]
    lines = [table(("exercise", "points", ""), rows), ""]
    lines.append(f"{checked.score:g} of {checked.max_score:g} points")
    manual = sum(v.max_score for v in checked.verdicts if v.score is None)
    if manual:
        lines[-1] += f", and {manual:g} more that a person gives"
    lines += [f"note: {note}" for note in checked.notes]
    return "\n".join(lines)


def _verdict_row(verdict: Verdict) -> tuple[str, str, str]:
    name = _exercise(verdict)
    if verdict.score is None:
        return name, f"- / {verdict.max_score:g}", verdict.message
    full = verdict.score == verdict.max_score
    return (
        name,
        f"{verdict.score:g} / {verdict.max_score:g}",
        "ok" if full else verdict.message,
    )


def _exercise(verdict: Verdict) -> str:
    return verdict.grade_id.removesuffix("-tests")


def class_table(results: Sequence[Result]) -> str:
    """Return the grades of a class as a table, a student a row."""
    return table(
        ("student", "points", "late", "what stood out"),
        [_class_row(r) for r in results],
    )


def _class_row(result: Result) -> tuple[str, str, str, str]:
    if result.problem:
        return result.student, "not graded", "", result.problem
    late = f"{result.late_s / 3600:.0f} h" if result.late_s else ""
    points = f"{result.score:g} / {result.max_score:g}"
    return result.student, points, late, _stood_out(result)


def _stood_out(result: Result) -> str:
    lost = [v for v in result.verdicts if v.score is not None and v.score < v.max_score]
    mistakes = [f"{_exercise(v)}: {v.mistake}" for v in lost if v.mistake]
    other = [v for v in lost if not v.mistake]
    parts = mistakes
    if other:
        kinds = [v.message.split(":")[0] for v in other]
        common = max(sorted(set(kinds)), key=kinds.count)
        parts.append(f"{len(other)} more without full points ({common})")
    if result.flags:
        parts.append(f"flagged: {', '.join(result.flags)}")
    return "; ".join([*parts, *result.notes])


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return ``rows`` in columns; the last one takes what room there is, and wraps."""
    columns = list(zip(head, *rows, strict=True))
    sizes = [max(map(len, column)) for column in columns[:-1]]
    indent = sum(sizes) + 2 * len(sizes)
    room = max(30, min(shutil.get_terminal_size((100, 24)).columns, 140) - indent)
    lines = []
    for number, row in enumerate((head, *rows)):
        cells = "  ".join(
            text.ljust(size) for text, size in zip(row, sizes, strict=False)
        )
        wrapped = textwrap.wrap(row[-1], room) or [""]
        lines.append(f"{cells}  {wrapped[0]}".rstrip())
        lines += [" " * indent + more for more in wrapped[1:]]
        if number == 0:
            lines.append("-" * (indent + room))
    return "\n".join(lines)
