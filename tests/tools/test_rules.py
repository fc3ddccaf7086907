"""What a text is refused for, and what not."""

import pytest

from tools.notebooks import parse_source
from tools.rules import MARKERS, parse_code, resembles_marker, source_problems
from tools.text import Rejected

ASSIGNMENT_PLACE = "authoring/assignments/01_lines.py"
LECTURE_PLACE = "authoring/lectures/01_lines.py"
SOLUTION = '# %% role="solution" grade_id="lines-affine"\n'
TESTS = '# %% role="tests" grade_id="lines-affine-tests" points=3\n'
MANUAL = '# %% [markdown] role="manual" grade_id="lines-why" points=2.5\n'
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS\n", "### END HIDDEN TESTS\n"
BEGIN, END = "    ### BEGIN SOLUTION\n", "    ### END SOLUTION\n"


def problems_of(text: str, place: str = ASSIGNMENT_PLACE) -> str:
    with pytest.raises(Rejected) as refusal:
        parse_source(text, place)
    return str(refusal.value)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_good_texts_are_taken(assignment: str, lecture: str) -> None:
    assert len(parse_source(assignment, ASSIGNMENT_PLACE).cells) == 7
    assert len(parse_source(lecture, LECTURE_PLACE).cells) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BEGIN_HIDDEN, "### BEGIN HIDEN TESTS\n"),
        (BEGIN_HIDDEN, "### BEGIN HIDDEN TEST\n"),
        (BEGIN_HIDDEN, "### BEGIN TESTS\n"),
        (BEGIN_HIDDEN, "### HIDDEN TESTS\n"),
        (BEGIN_HIDDEN, "### BEGIN HIDDEN TESTS:\n"),
        (BEGIN_HIDDEN, "# BEGIN HIDDEN TESTS\n"),
        (BEGIN_HIDDEN, 'name = "BEGIN HIDDEN TESTS"\n'),
        (BEGIN_HIDDEN, "x = 1  ### BEGIN HIDDEN TESTS\n"),
        (BEGIN_HIDDEN, "# begin tests\n"),
        (END_HIDDEN, "### END HIDDEN\n"),
        (BEGIN, "    ### BEGIN SOLUTIONS\n"),
        (BEGIN, "    ##BEGIN SOLUTION\n"),
        (BEGIN, "    ###BEGIN SOLUTION\n"),
        (BEGIN, "    ### begin solution\n"),
        (BEGIN, "    ### BEGIN  SOLUTION\n"),
        (BEGIN, "    #### BEGIN SOLUTION\n"),
        (BEGIN, "    # BEGIN SOLUTON\n"),
        (BEGIN, "    ### SOLUTION\n"),
        (BEGIN, "    ### START HERE\n"),
        (END, "    ### END OF SOLUTION\n"),
        ("# ### BEGIN SOLUTION\n", "# ### BEGIN SOLUTON\n"),
        ("# ### BEGIN SOLUTION\n", "# ## Begin solution\n"),
        ("# ### BEGIN SOLUTION\n", "# BEGIN SOLUTIN\n"),
        ("# ### BEGIN SOLUTION\n", "# # The solution begins: begin\n"),
        (BEGIN, "    ### AUTOTEST affine\n" + BEGIN),
        ("# Why is", "# ### BEGIN MARK SCHEME\n# Why is"),
    ],
    ids=lambda value: value.strip().replace(" ", "_"),
)
def test_line_that_only_resembles_a_marker_is_named(
    assignment: str, old: str, new: str
) -> None:
    text = assignment.replace(old, new, 1)
    line = new.split("\n")[0]
    facts = problems_of(text)
    assert f"01_lines.py:{line_of(text, line)} (" in facts
    assert line.strip().removeprefix("# ") in facts
    assert "### BEGIN HIDDEN TESTS" in facts


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("kind", ["code", "markdown"])
def test_each_character_of_a_marker_counts(marker: str, kind: str) -> None:
    others = "xX# 0_"
    for i in range(len(marker)):
        changed = [marker[:i] + marker[i + 1 :]]
        changed += [marker[:i] + other + marker[i + 1 :] for other in others]
        changed += [marker[:i] + other + marker[i:] for other in others]
        for line in changed:
            assert line.strip() == marker or resembles_marker(line, kind), line


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("    # begin tests", "code"),
        ("x = 1  # end of the test", "code"),
        ("# Solution: end", "markdown"),
        ("## The tests begin", "markdown"),
        ("BEGIN SOLUTON", "markdown"),
        ("  BEGIN HIDDEN", "markdown"),
        ("### anything", "code"),
        ("x = 'END SOLUTION'", "code"),
        ("END MARK SCHEME", "markdown"),
        ("AUTOTEST x", "code"),
    ],
)
def test_line_that_may_be_meant_for_a_marker_is_seen(line: str, kind: str) -> None:
    assert resembles_marker(line, kind)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("# the end of the epoch", "code"),
        ("# at the end the test set gives one number", "code"),
        ("# tests whether the hidden layer ends up dead", "code"),
        ("solution = begin(x)", "code"),
        ("x = 1  # hidden units", "code"),
        ("## Tests", "markdown"),
        ("### A solution by hand", "markdown"),
        ("At the end we test the solution.", "markdown"),
        ("We begin with a test.", "markdown"),
        ("# Hidden layers", "markdown"),
    ],
)
def test_line_that_speaks_of_other_things_is_no_marker(line: str, kind: str) -> None:
    assert not resembles_marker(line, kind)


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        (BEGIN, "", "'### END SOLUTION'"),
        (END, "", "BEGIN SOLUTION without its END"),
        (BEGIN_HIDDEN, "", "'### END HIDDEN TESTS'"),
        (END_HIDDEN, "", "BEGIN HIDDEN TESTS without its END"),
        ("# ### BEGIN SOLUTION\n", "", "'### END SOLUTION'"),
        ("# ### END SOLUTION\n", "", "BEGIN SOLUTION without its END"),
        (BEGIN, BEGIN + BEGIN, "BEGIN and END by turns"),
        (END, END + END, "BEGIN and END by turns"),
    ],
    ids=[
        "no-begin",
        "no-end",
        "no-begin-hidden",
        "no-end-hidden",
        "no-begin-manual",
        "no-end-manual",
        "nested",
        "end-twice",
    ],
)
def test_unpaired_marker_names_the_cell(
    assignment: str, old: str, new: str, fact: str
) -> None:
    facts = problems_of(assignment.replace(old, new, 1))
    assert fact in facts
    assert "(cell " in facts


def test_end_before_begin_is_refused(assignment: str) -> None:
    swapped = assignment.replace(BEGIN, "@").replace(END, BEGIN).replace("@", END)
    assert "BEGIN and END by turns" in problems_of(swapped)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BEGIN_HIDDEN, "### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n" + BEGIN_HIDDEN),
        (END, END + "    ### BEGIN HIDDEN TESTS\n    1\n    ### END HIDDEN TESTS\n"),
        (SOLUTION, "# %%\n"),
        (TESTS, "# %%\n"),
        (MANUAL, "# %% [markdown]\n"),
        (SOLUTION, '# %% role="locked"\n'),
        (BEGIN, "    ### BEGIN HIDDEN TESTS\n"),
    ],
    ids=[
        "solution-in-tests",
        "hidden-in-solution",
        "solution-without-role",
        "tests-without-role",
        "manual-without-role",
        "solution-in-locked",
        "hidden-begins-solution",
    ],
)
def test_marker_in_a_cell_of_another_role_is_refused(
    assignment: str, old: str, new: str
) -> None:
    assert "in a cell of role" in problems_of(assignment.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ('role="tests"', 'role="test"', "role 'test'"),
        ('role="locked"', 'role="readonly"', "role 'readonly'"),
        (TESTS, '# %% grade_id="lines-affine-tests" points=3\n', "without a role"),
        (
            'grade_id="lines-affine"\n',
            'grade_id="lines-affine" tag="x"\n',
            "attribute tag",
        ),
        (SOLUTION, '# %% role="solution"\n', "no grade_id"),
        ("lines-affine-tests", "affine-tests", "grade_id 'affine-tests'"),
        ("lines-affine-tests", "linesaffine", "grade_id 'linesaffine'"),
        ("lines-affine-tests", "lines-Affine", "grade_id 'lines-Affine'"),
        ("lines-affine-tests", "lines--tests", "grade_id 'lines--tests'"),
        ("lines-affine-tests", "lines-tests-", "grade_id 'lines-tests-'"),
        ("lines-affine-tests", "lines_tests", "grade_id 'lines_tests'"),
        ("lines-affine-tests", "lines-" + "x" * 59, "grade_id 'lines-xxx"),
        ("lines-affine-tests", "lines-affine", "grade_id 'lines-affine' again"),
        ('role="locked"', 'role="locked" grade_id="other"', "grade_id 'other'"),
        (" points=3", "", "no points"),
        ("points=3", "points=0", "points=0"),
        ("points=3", "points=0.0", "points=0.0"),
        ("points=3", "points=-1", "points=-1"),
        ("points=3", "points=three", "points=three"),
        ("points=3", 'points="3"', 'points="3"'),
        ("points=3", "points=nan", "points=nan"),
        ("points=3", "points=1e3", "points=1e3"),
        (" points=2.5", "", "no points"),
        ('"lines-affine"\n', '"lines-affine" points=3\n', "which is not graded"),
        ('role="locked"', 'role="locked" points=3', "which is not graded"),
        (SOLUTION, SOLUTION.replace("%% ", "%% [markdown] "), "on a markdown cell"),
        (TESTS, TESTS.replace("%% ", "%% [markdown] "), "on a markdown cell"),
    ],
)
def test_attribute_that_is_not_right_is_named(
    assignment: str, old: str, new: str, fact: str
) -> None:
    changed = assignment.replace(old, new, 1)
    if "[markdown]" in new:
        start = changed.index(new) + len(new)
        end = changed.index("# %%", start)
        body = changed[start:end].strip().split("\n")
        commented = "\n".join(f"# {line}" for line in body) + "\n\n"
        changed = changed[:start] + commented + changed[end:]
    assert fact in problems_of(changed)


@pytest.mark.parametrize("points", ["1", "0.5", "10", "2.25"])
def test_points_above_zero_are_taken(assignment: str, points: str) -> None:
    text = assignment.replace("points=3", f"points={points}")
    assert parse_source(text, ASSIGNMENT_PLACE)


@pytest.mark.parametrize(
    ("begin", "end", "fact"),
    [
        (BEGIN, END, "role solution without ### BEGIN SOLUTION"),
        (BEGIN_HIDDEN, END_HIDDEN, "role tests without ### BEGIN HIDDEN TESTS"),
        ("# ### BEGIN SOLUTION\n", "# ### END SOLUTION\n", "role manual without"),
    ],
    ids=["solution", "tests", "manual"],
)
def test_cell_without_its_region_is_refused(
    assignment: str, begin: str, end: str, fact: str
) -> None:
    text = assignment.replace(begin, "", 1).replace(end, "", 1)
    assert fact in problems_of(text)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (BEGIN, END),
        (BEGIN_HIDDEN, END_HIDDEN),
        ("# ### BEGIN SOLUTION\n", "# ### END SOLUTION\n"),
    ],
    ids=["solution", "tests", "manual"],
)
def test_region_without_content_is_refused(
    assignment: str, begin: str, end: str
) -> None:
    start, stop = assignment.index(begin) + len(begin), assignment.index(end)
    blank = "" if begin.startswith("# ") else "    # To do.\n"
    text = assignment[:start] + blank + assignment[stop:]
    assert "nothing between them" in problems_of(text)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = = 1", 0),
        ("x = 1\ny = )", 1),
        ('"\\d"', 0),
        ("x = 1 is 1", 0),
        ("x = '\0'", 0),
        ("x = 1\n\nreturn x", 2),
    ],
    ids=["syntax", "second-line", "escape", "literal", "null", "return"],
)
@pytest.mark.parametrize("place", [ASSIGNMENT_PLACE, LECTURE_PLACE])
def test_code_that_does_not_parse_names_its_line(
    code: str, line: int, place: str
) -> None:
    facts = problems_of(f"# %%\n\n{code}\n", place)
    assert f"01_lines.py:{3 + line} (" in facts


@pytest.mark.parametrize(
    "code",
    ["# %time x = 1", "!ls", "x?", "await f()", "%timeit f()", "# %%time\nx = 1"],
)
def test_code_of_ipython_is_taken(code: str) -> None:
    assert parse_source(f"# %%\n{code}\n", LECTURE_PLACE)


@pytest.mark.parametrize(
    "code",
    [
        "import grader",
        "from grader import checks",
        "import os, grader.checks as c",
        "def f():\n    from grader.checks import lines",
    ],
)
@pytest.mark.parametrize("place", [ASSIGNMENT_PLACE, LECTURE_PLACE])
def test_import_of_grader_that_students_see_is_refused(code: str, place: str) -> None:
    facts = problems_of(f"# %%\n{code}\n", place)
    assert "import of grader" in facts
    assert f":{2 + code.count(chr(10))} (" in facts


def test_import_of_grader_outside_the_hidden_region_is_refused(assignment: str) -> None:
    line = "from grader.checks import lines\n"
    text = assignment.replace(line, "").replace(BEGIN_HIDDEN, line + BEGIN_HIDDEN)
    assert "import of grader" in problems_of(text)


def test_import_of_grader_in_a_solution_is_refused(assignment: str) -> None:
    text = assignment.replace(BEGIN, BEGIN + "    import grader\n")
    assert "import of grader" in problems_of(text)


@pytest.mark.parametrize(
    ("hidden", "visible"),
    [
        ("from grader.checks import lines\n", "lines.affine(affine)\n"),
        ("import grader.checks as judge\n", "judge.lines.affine(affine)\n"),
        ("import grader.checks\n", "grader.checks.affine(affine)\n"),
        ("wanted = 3\n", "assert affine(1, 2, 1) == wanted\n"),
        ("def judge():\n    return 3\n", "judge()\n"),
        ("class Judge:\n    pass\n", "Judge()\n"),
    ],
    ids=["from", "as", "import", "name", "function", "class"],
)
def test_visible_line_that_needs_a_hidden_name_is_refused(
    assignment: str, hidden: str, visible: str
) -> None:
    text = assignment.replace(BEGIN_HIDDEN, BEGIN_HIDDEN + hidden)
    text = text.replace(END_HIDDEN, END_HIDDEN + visible)
    facts = problems_of(text)
    assert "outside the region that defines it" in facts
    assert f"01_lines.py:{line_of(text, visible)} (" in facts


def test_visible_line_with_names_of_its_own_is_taken(assignment: str) -> None:
    seen = "import lines\n\nassert lines\n"
    text = assignment.replace(END_HIDDEN, END_HIDDEN + seen)
    assert parse_source(text, ASSIGNMENT_PLACE)


def test_half_a_character_is_no_code() -> None:
    with pytest.raises(SyntaxError, match="surrogates"):
        parse_code("x = '\ud800'")


@pytest.mark.parametrize("package", ["graders", "fovea.grader", "gradera.grader"])
def test_import_of_another_package_is_taken(package: str) -> None:
    assert parse_source(f"# %%\nimport {package}\n", LECTURE_PLACE)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ('# %% role="locked"\nx = 1\n', "a lecture isn't graded"),
        ('# %% [markdown] role="manual"\n# x\n', "a lecture isn't graded"),
        ("# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", "'### BEGIN SOLUTION'"),
        ("# %% [markdown]\n# BEGIN HIDDEN TESTS\n", "'BEGIN HIDDEN TESTS'"),
        ("# %%\n" + "x = 1\n" * 31, "31 lines of code"),
        ("# %%\nx = 1\n\n" * 61, "61 cells"),
    ],
    ids=["role", "manual", "markers", "marker-in-prose", "long-cell", "many-cells"],
)
def test_lecture_beyond_its_rules_is_refused(text: str, fact: str) -> None:
    assert fact in problems_of(text, LECTURE_PLACE)


def test_lecture_at_its_limits_is_taken() -> None:
    assert parse_source("# %%\n" + "x = 1\n" * 30, LECTURE_PLACE)
    assert parse_source("# %%\nx = 1\n\n" * 60, LECTURE_PLACE)
    assert parse_source("# %% [markdown]\n" + "# Words.\n" * 31, LECTURE_PLACE)
    assert parse_source("# %%\n### Heading\nx = 1\n", LECTURE_PLACE)


def test_assignment_may_be_longer_than_a_lecture() -> None:
    text = "# %%\n" + "x = 1\n" * 31 + "\n# %%\nx = 1\n" * 60
    assert len(parse_source(text, ASSIGNMENT_PLACE).cells) == 61


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("# %%", "(cell 2, code)"),
        ('# %% role="locked"', "(cell 2, locked)"),
        ('# %% role="locked" grade_id="lines-x"', "(cell 2, lines-x)"),
    ],
)
def test_problem_names_its_cell(header: str, label: str) -> None:
    assert label in problems_of(f"# %%\nx = 1\n\n{header}\nx = =\n")


def test_all_problems_are_told_at_once(assignment: str) -> None:
    text = assignment.replace("points=3", "points=0").replace("lines-why", "why")
    facts = problems_of(text)
    assert "points=0" in facts
    assert "grade_id 'why'" in facts


def test_good_text_has_no_problems_but_a_copy_has(assignment: str) -> None:
    source = parse_source(assignment, ASSIGNMENT_PLACE)
    assert not list(source_problems(source))
    assert "again" in problems_of(assignment * 2)
