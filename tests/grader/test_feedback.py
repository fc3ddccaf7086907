import copy
import os
import re
import shutil
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from grader import feedback
from grader.course import Course
from grader.feedback import (
    NO_QUOTES,
    NO_WIDGET,
    NOT_SHOWN,
    ForStudents,
    harmless_html,
    harmless_output,
    hide_tests,
    markdown_to_html,
    to_mathml,
)
from tests.grader.conftest import RIGHT, ROOT, answer

# the pages are those of a submission that was graded
pytestmark = pytest.mark.sandbox

TINY_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)


def to_html(source, **cell):
    """What the Jinja filter makes of Markdown in a cell."""
    return markdown_to_html({"cell": cell}, source)


# --- the page ---


HOSTILE_TEXT = """Because $\\nabla L$ <script>alert("text")</script>
<img src=x onerror=alert(1)> ![far](https://example.org/pixel.png)
[link](javascript:alert(1)) <iframe src="https://example.org"></iframe>"""

HOSTILE_OUTPUT = """from IPython.display import HTML, Javascript, display
display(Javascript("alert('code')"))
display(HTML("<b>bold</b><script>alert('html')</script><p onclick=alert(1)>p</p>"))
display({"image/png": 'x"><script>alert(1)</script>'}, raw=True)
"""


@pytest.fixture(scope="module")
def graded(released_course, tmp_path_factory):
    """A class of two, graded by the machine, with one answer graded by a person."""
    root = tmp_path_factory.mktemp("feedback") / "course"
    shutil.copytree(released_course, root)
    course = Course(root)
    assignment = course.assignment("01_toy")
    release = nbformat.read(assignment.release_path, as_version=4)

    wrong = answer(
        copy.deepcopy(release),
        double="def double(x):\n    return x / 2",
        triple="def triple(x):\n    return x",
        why=HOSTILE_TEXT,
    )
    wrong.cells.append(new_code_cell(HOSTILE_OUTPUT))
    for student, work in {
        "ada": answer(copy.deepcopy(release), **RIGHT),
        "mallory": wrong,
    }.items():
        folder = assignment.submission_folder(student)
        folder.mkdir(parents=True)
        nbformat.write(work, folder / "toy.ipynb")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FOVEA_SECRET", "toy")
        patch.setenv("PATH", os.environ["PATH"])
        assert course.nbgrader.generate_assignment("01_toy")["success"]
        for student in ("ada", "mallory"):
            outcome = course.nbgrader.autograde("01_toy", student)
            assert outcome["success"], outcome
        grade_by_hand(course, "ada", "toy-why", 2.5, "Say **why**, too: $x + x = 2x$.")
        yield course


def grade_by_hand(course, student, grade_id, score, comment):
    with course.nbgrader.gradebook as gradebook:
        names = (grade_id, "toy", "01_toy", student)
        grade = gradebook.find_grade(*names)
        grade.manual_score, grade.needs_manual_grade = score, False
        gradebook.find_comment(*names).manual_comment = comment
        gradebook.db.commit()


def read_page(course, student):
    outcome = course.nbgrader.generate_feedback("01_toy", student)
    assert outcome["success"], outcome
    path = course.root / "feedback" / student / "01_toy" / "toy.html"
    html = path.read_text(encoding="utf-8")
    soup = BeautifulSoup(html, "html.parser")
    return SimpleNamespace(html=html, soup=soup, text=soup.get_text())


@pytest.fixture(scope="module")
def ada(graded):
    return read_page(graded, "ada")


@pytest.fixture(scope="module")
def mallory(graded):
    return read_page(graded, "mallory")


def rows(page):
    """The table of points: what each line says."""
    lines = page.soup.select("table.points tbody tr")
    return [line.get_text(" ", strip=True) for line in lines]


def test_points_stand_at_the_top(ada, mallory):
    assert ada.soup.h1.get_text() == "toy: 5.5 of 6 points"
    assert rows(ada) == [
        "✓ double 2 of 2",
        "✓ triple 1 of 1",
        "◐ why 2.5 of 3 with a comment",
    ]
    assert mallory.soup.h1.get_text() == "toy: 0 of 6 points"
    assert rows(mallory) == [
        "✗ double 0 of 2 it halves",
        "✗ triple 0 of 1 a hidden check does not hold",
        "… why not graded yet (of 3)",
    ]
    assert "3 of the points are still to be given" in mallory.text
    assert "to be given" not in ada.text


def test_each_line_of_the_table_leads_to_its_cell(ada):
    for link in ada.soup.select("table.points a"):
        assert ada.soup.find(id=link["href"].removeprefix("#"))


def test_report_names_the_mistake(mallory):
    cell = mallory.soup.find(id="toy-double-tests")
    assert "it halves" in cell.get_text()


def test_unanswered_question_gets_no_comment(graded, ada, mallory):
    assert "No response" not in ada.text + mallory.text
    assert ada.text.count("Comment") == 1


def test_answers_and_comments_are_shown(ada):
    cell = ada.soup.find(id="toy-why")
    assert "It adds up." in cell.get_text()
    assert cell.select_one(".comment strong").get_text() == "why"
    assert cell.select_one(".comment math")


def hidden_lines(course):
    """The lines of the instructor's notebook that students are not to see."""
    source = nbformat.read(course.assignment("01_toy").source_path, as_version=4)
    text = "\n".join(cell.source for cell in source.cells)
    kinds = "HIDDEN TESTS|SOLUTION"
    blocks = re.findall(rf"### BEGIN (?:{kinds})\n(.*?)### END", text, re.DOTALL)
    lines = {line.strip() for block in blocks for line in block.splitlines()}
    return {line for line in lines if len(line) > 3}


def test_nothing_hidden_is_shown(graded, ada, mallory):
    lines = hidden_lines(graded)
    assert {"assert triple(2) == 6", "return 3 * x", "Because."} <= lines
    autograded = graded.root / "autograded/mallory/01_toy/toy.ipynb"
    assert "assert triple(2) == 6" in autograded.read_text(encoding="utf-8")
    for page in (ada, mallory):
        assert [line for line in lines if line in page.text] == []
        assert "HIDDEN" not in page.html
        assert "Traceback" not in " ".join(map(str, page.soup.select(".graded")))


def test_nothing_of_a_submission_runs(mallory):
    assert mallory.soup.find_all(["script", "iframe", "object", "embed"]) == []
    attributes = {name for tag in mallory.soup.find_all(True) for name in tag.attrs}
    assert [name for name in attributes if name.startswith("on")] == []
    links = [tag["href"] for tag in mallory.soup.select("[href]")]
    assert [link for link in links if "script" in link.lower()] == []


def test_page_asks_no_other_host(ada, mallory):
    for page in (ada, mallory):
        fetched = [
            t.get("src") or t.get("href") for t in page.soup.select("[src], link")
        ]
        assert [url for url in fetched if not url.startswith("data:image/")] == []
        assert "url(" not in page.html
        policy = page.soup.find("meta", {"http-equiv": "Content-Security-Policy"})
        assert "default-src 'none'" in policy["content"]


def test_formulas_are_mathml(mallory):
    formula = mallory.soup.find(id="toy-why").math
    assert formula.get_text() == "∇L"


def test_formgrader_page_asks_no_other_host_and_keeps_hidden_tests(graded):
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader.formgrader import FormgradeExtension

    app = FormgradeExtension()
    app.root_dir = str(graded.root)
    app.initialize([])
    about = {"notebook_id": "toy", "base_url": "", "index": 0, "total": 1}
    html, _ = HTMLExporter(config=app.config).from_filename(
        str(graded.root / "autograded/mallory/01_toy/toy.ipynb"), resources=about
    )
    soup = BeautifulSoup(html, "html.parser")
    urls = [
        t.get("src") or t.get("href") for t in soup.select("script[src], link, img")
    ]
    assert urls
    assert [u for u in urls if not u.startswith(("/formgrader", "data:image"))] == []
    assert "assert triple(2) == 6" in soup.get_text()
    assert soup.find("input", id="toy-why")
    assert soup.math
    assert "alert" not in str(soup.select("main script, #notebook script"))


# --- formulas ---


def test_formulas_of_the_course_all_convert():
    source = re.compile(r"(?<![\\$])(\$\$?)(?!\$)(.+?)(?<!\\)\1", re.DOTALL)
    unknown = []
    for path in sorted((ROOT / "authoring").glob("*/*.py")):
        cells = re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        texts = [c.replace("\n# ", "\n") for c in cells if c.startswith(" [markdown]")]
        prose = re.sub(r"```.*?```|`[^`]*`", "", "\n".join(texts), flags=re.DOTALL)
        found = [formula for _, formula in source.findall(prose)]
        assert found, path
        unknown += [f for f in found if to_mathml(f) is None]
    assert unknown == []


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{a}{b}", "ab"),
        (r"x < y", "x<y"),
        (r"\sum_{i=1}^N x_i", "∑i=1Nxi"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1234)"),
        (r"\operatorname{softmax}(z)", "softmax(z)"),
        (r"\text{if } x > 0", "if\xa0x>0"),
    ],
)
def test_formula_becomes_mathml(latex, text):
    assert BeautifulSoup(to_mathml(latex), "html.parser").math.get_text() == text


@pytest.mark.parametrize(
    ("latex", "spaces"),
    [
        (r"\log 10", 1),
        (r"W \tanh(z)", 1),
        (r"2 \log_2 x", 2),
        (r"\max(0, z)", 0),
        (r"y = \exp z", 1),
        (r"a b", 0),
    ],
)
def test_names_of_functions_stand_apart(latex, spaces):
    soup = BeautifulSoup(to_mathml(latex), "html.parser")
    assert len(soup("mspace")) == spaces


@pytest.mark.parametrize(
    ("latex", "signs"), [("x - 1", 0), ("(-1, -2)", 2), ("e^{-x}", 1), ("-x + y", 1)]
)
def test_signs_are_told_from_differences(latex, signs):
    soup = BeautifulSoup(to_mathml(latex), "html.parser")
    assert len(soup("mo", form="prefix")) == signs


@pytest.mark.parametrize("latex", [r"\frac", r"\nonsense{x}", "{" * 3000, "x" * 9999])
def test_formula_that_is_not_understood_stays_text(latex):
    assert to_mathml(latex) is None
    assert f"${latex}$" in to_html(f"so ${latex}$ is")


def test_formula_smuggles_nothing():
    latex = r"\text{<script>x</script>} \href{javascript:x}{y} \style{color:red}{z}"
    html = to_html(f"${latex}$")
    soup = BeautifulSoup(html, "html.parser")
    assert soup.math
    assert soup.script is None
    assert "href" not in html
    assert "style=" not in html


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("`$a$` and\n\n```\n$b$\n```", "$a$ and $b$"),
        (r"it costs \$5 or \$6", "it costs $5 or $6"),
    ],
    ids=["code", "escaped dollars"],
)
def test_dollars_that_are_no_formula_stay(source, text):
    soup = BeautifulSoup(to_html(source), "html.parser")
    assert soup.math is None
    assert " ".join(soup.get_text().split()) == text


def test_display_formulas_are_blocks():
    for source in ("$$a$$", r"\begin{align}a &= b\end{align}"):
        assert BeautifulSoup(to_html(source), "html.parser").math["display"] == "block"


# --- strangers' HTML and outputs ---


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<script>a</script>b", "b"),
        ("<b onclick=a>b</b>", "<b>b</b>"),
        ("<style>p {}</style><p>b</p>", "<p>b</p>"),
        ('<p style="position:fixed">b</p>', "<p>b</p>"),
        ('<div class="navbar-fixed-top" id="top">b</div>', "<div>b</div>"),
        ('<a href=" javascript:a">b</a>', "<a>b</a>"),
        ('<a href="data:text/html,b">b</a>', "<a>b</a>"),
        ('<a href="https://example.org">b</a>', '<a href="https://example.org">b</a>'),
        ('<img src="https://example.org/a.png" alt="a">', "[picture: a]"),
        ("<form><input><button>b</button></form>", "b"),
        ("<svg><a><animate onbegin=x></svg>", "<a></a>"),
        ("<!-- --><b>b", "<b>b</b>"),
        ("<math><mi><style><img src=x onerror=a></style></mi></math>", ""),
        (
            "<table><tr><td onclick=a>1</td></tr></table>",
            "<table><tbody><tr><td>1</td></tr></tbody></table>",
        ),
    ],
)
def test_html_keeps_what_is_harmless(html, left):
    assert harmless_html(html) == left


def test_pictures_stay():
    image = f'<img alt="dot" src="data:image/png;base64,{TINY_PNG}">'
    assert harmless_html(image) == image
    attached = {"dot.png": {"image/png": TINY_PNG}}
    assert TINY_PNG in to_html("![dot](attachment:dot.png)", attachments=attached)
    output = new_output(
        "display_data", {"image/png": TINY_PNG}, metadata={"image/png": {"width": 7}}
    )
    assert harmless_output(output) == output


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (
            {"application/javascript": "a", "text/plain": "<J>"},
            {"text/plain": "<J>"},
        ),
        ({"image/png": '"><script>'}, {"text/plain": NOT_SHOWN}),
        ({"image/svg+xml": ["no text"]}, {"text/plain": NOT_SHOWN}),
        ({"text/html": "<script>a</script>", "text/plain": "b"}, {"text/plain": "b"}),
        ({"text/latex": "$x$"}, {"text/markdown": "$x$"}),
        ({feedback._WIDGET: {}, "text/plain": "x"}, {"text/plain": NO_WIDGET}),
    ],
)
def test_output_keeps_what_is_harmless(data, left):
    assert harmless_output(new_output("display_data", data)).data == left


def test_output_metadata_that_would_become_html_goes():
    facts = {"image/png": {"width": '1 onload="a"', "alt": "b"}, "filenames": {}}
    output = new_output("display_data", {"image/png": TINY_PNG}, metadata=facts)
    assert harmless_output(output).metadata == {"image/png": {"alt": "b"}}


def test_math_mark_in_an_attribute_is_not_filled_in():
    html = to_html('![a $x" onerror="y$ b](https://example.org)')
    assert BeautifulSoup(html, "html.parser").select("[onerror]") == []


# --- hidden tests ---


def graded_cell(source, *outputs):
    facts = {"grade": True, "solution": False, "grade_id": "q-tests", "points": 1}
    return new_code_cell(source, metadata={"nbgrader": facts}, outputs=list(outputs))


def error(name, value, *lines):
    return new_output("error", ename=name, evalue=value, traceback=list(lines))


HIDDEN = "### BEGIN HIDDEN TESTS\nassert secret(1) == 27\n### END HIDDEN TESTS"


def test_hidden_part_that_does_not_end_is_hidden_to_the_end():
    cell = graded_cell("assert f(0) == 0\n### BEGIN HIDDEN TESTS\nassert f(1) == 27\n")
    assert hide_tests(cell) == {"### BEGIN HIDDEN TESTS", "assert f(1) == 27"}
    assert cell.source == "assert f(0) == 0"


def test_two_hidden_parts_go_and_what_is_between_stays():
    cell = graded_cell(f"{HIDDEN}\nassert f(0) == 0\n    {HIDDEN}\n")
    hide_tests(cell)
    assert cell.source == "assert f(0) == 0"


def test_error_of_a_hidden_test_shows_no_line_of_it():
    trace = "\x1b[0;32m----> 2\x1b[0m assert secret(1) == 27"
    cell = graded_cell(HIDDEN, error("AssertionError", "", "AssertionError", trace))
    hide_tests(cell)
    assert cell.outputs[0].traceback == [feedback.HIDDEN_FAILED]


def test_error_of_a_visible_test_shows_its_line():
    trace = "\x1b[0;32m----> 1\x1b[0m assert f(0) == 0"
    cell = graded_cell(
        f"assert f(0) == 0\n{HIDDEN}", error("AssertionError", "off by one", trace)
    )
    hide_tests(cell)
    [shown] = cell.outputs[0].traceback
    assert "off by one" in shown
    assert "assert f(0) == 0" in shown


def test_unanswered_question_is_called_so():
    cell = graded_cell(HIDDEN, error("NotImplementedError", "", "---> 9 secret(1)"))
    hide_tests(cell)
    assert cell.outputs[0].traceback == ["not answered yet"]


@pytest.mark.parametrize(
    "output",
    [
        new_output("stream", name="stdout", text=f"look: {HIDDEN}"),
        new_output(
            "display_data", {"text/html": f"<b>{HIDDEN}</b>", "text/plain": "b"}
        ),
        error("ValueError", "", "\x1b[1massert\x1b[0m secret(1) == 27"),
    ],
    ids=["printed", "displayed", "raised"],
)
def test_output_of_any_cell_that_quotes_a_hidden_test_goes(output):
    innocent = new_output("stream", name="stdout", text="27\n")
    student = new_code_cell("leak()", outputs=[copy.deepcopy(output), innocent])
    nb = nbformat.v4.new_notebook(cells=[student, graded_cell(HIDDEN)])
    ForStudents().preprocess(nb, {})
    assert "secret(1)" not in nbformat.writes(nb)
    assert NO_QUOTES in nbformat.writes(nb)
    assert student.outputs[1].text == "27\n"


def test_raw_cells_are_shown_as_text(graded):
    from nbconvert.exporters import HTMLExporter

    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_raw_cell("<script>a</script>"), new_markdown_cell("b")]
    )
    html, _ = HTMLExporter(config=graded.nbgrader.config).from_notebook_node(nb)
    assert "&lt;script&gt;a&lt;/script&gt;" in html
