"""What students read: the feedback page, without hidden tests, safe and self-contained.

nbgrader writes the page from the graded notebook. Three things are plugged into it by
``nbgrader_config.py``:

- ``Harmless`` and ``markdown_to_html`` let nothing through that a browser would run or
  fetch: a submission is a stranger's document. The formgrader shows submissions through
  the same two.
- ``ForStudents`` takes out the hidden tests and what quotes them.
- ``templates/`` is the page itself; ``base/mathjax.html.j2`` stands where nbgrader
  would load MathJax from another host. Formulas are MathML, which browsers draw.
"""

import re
import uuid
from collections.abc import Callable
from html import unescape
from typing import Any
from xml.etree.ElementTree import Element, tostring

import bleach
from bs4 import BeautifulSoup
from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert_to_element
from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import GetGrades
from traitlets import Bool

from grader.cells import is_judged
from grader.checking import VERDICT_MIME
from grader.verdicts import read_verdict

# --- formulas -------------------------------------------------------------------------

# longer ones are no formulas, and the converter takes its time over them
MAX_FORMULA = 4000
_MATHML_TAGS = frozenset(
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder"
    " mover munderover mmultiscripts mprescripts none mtable mtr mtd mpadded mphantom"
    " mstyle menclose merror".split()
)
_MATHML_ATTRIBUTES = frozenset(
    "display displaystyle scriptlevel mathvariant stretchy fence form separator accent"
    " accentunder movablelimits largeop symmetric minsize maxsize lspace rspace width"
    " height depth linethickness columnalign rowalign columnspacing rowspacing"
    " columnlines rowlines notation voffset".split()
)


def to_mathml(latex: str, display: str = "inline") -> str | None:
    """Return a formula as MathML; ``None`` if it is not understood in full."""
    if len(latex) > MAX_FORMULA:
        return None
    try:
        root = convert_to_element(latex, display=display)
        return _to_text(root) if _is_understood(root) else None
    # whatever a stranger wrote: the text is shown instead
    except Exception:
        return None


def _is_understood(root: Element) -> bool:
    # the converter passes on commands that it doesn't know
    return all(
        element.tag in _MATHML_TAGS and not (element.text or "").startswith("\\")
        for element in root.iter()
    )


def _to_text(root: Element) -> str:
    for element in root.iter():
        # the converter writes characters as &#x…;, and escapes nothing else
        element.text = unescape(element.text or "")
        for name in element.attrib.keys() - _MATHML_ATTRIBUTES:
            del element.attrib[name]
    _space_like_tex(root)
    return tostring(root, encoding="unicode", short_empty_elements=False)


def _space_like_tex(root: Element) -> None:
    """Put thin spaces around the names of functions, and none after a sign."""
    for row in [root, *root.iter("mrow"), *root.iter("mtd")]:
        for i in reversed(range(len(row))):
            after_operator = i == 0 or _is_operator(row[i - 1])
            if row[i].tag == "mo" and row[i].text in ("−", "+", "±") and after_operator:
                row[i].set("form", "prefix")
            if _is_name(row[i]):
                row[i].tag = "mi" if row[i].tag == "mo" else row[i].tag
                if i + 1 < len(row) and not _is_operator(row[i + 1]):
                    row.insert(i + 1, Element("mspace", width="0.167em"))
                if not after_operator:
                    row.insert(i, Element("mspace", width="0.167em"))


def _is_name(element: Element) -> bool:
    """Tell whether an element is the name of a function, maybe with an index."""
    if element.tag in ("msub", "msup", "munder"):
        return _is_name(element[0])
    text = element.text or ""
    return element.tag in ("mi", "mo") and len(text) > 1 and text.isalpha()


def _is_operator(element: Element) -> bool:
    return element.tag in ("mo", "mspace") and not _is_name(element)


class _Renderer(IPythonRenderer):
    """Markdown to HTML; formulas become marks in the HTML, to be filled in at the
    end."""

    def __init__(self, **options: Any):
        super().__init__(escape=False, exclude_anchor_links=True, **options)
        self.secret = uuid.uuid4().hex
        self.formulas: list[str] = []

    def _formula(self, text: str, latex: str, display: str) -> str:
        self.formulas.append(to_mathml(latex, display) or self.escape_html(text))
        return _mark(self.secret, len(self.formulas) - 1)

    def inline_math(self, body: str) -> str:
        return self._formula(f"${body}$", body, "inline")

    def block_math(self, body: str) -> str:
        return self._formula(f"$${body}$$", body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        text = f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return self._formula(text, text, "block")

    def fill(self, html: str) -> str:
        for i, formula in enumerate(self.formulas):
            html = html.replace(_mark(self.secret, i), formula)
        return html


def _mark(secret: str, i: int) -> str:
    # quotes: within an attribute they would be escaped, so a mark there stays a mark
    return f'<span data-formula="{secret}-{i}"></span>'


@pass_context
def markdown_to_html(context: Context, source: str) -> str:
    """Return Markdown as harmless HTML with its formulas as MathML: a Jinja filter."""
    cell = context.get("cell", {})
    renderer = _Renderer(attachments=cell.get("attachments", {}))
    html = MarkdownWithMath(renderer=renderer).render(source)
    return renderer.fill(harmless_html(html))


# --- strangers' HTML ------------------------------------------------------------------

_TAGS = frozenset(
    "a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5 h6"
    " hr i img ins kbd li mark ol p pre s samp small span strong sub summary sup table"
    " tbody td tfoot th thead tr u ul var".split()
)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
# what Pygments says of code; any other class could dress up as a part of the page
_CLASS = re.compile(r"highlight|[a-z][a-z0-9]?[a-z0-9]?")
_LINK = re.compile(r"(https?|mailto):|#", re.IGNORECASE)


def _keeps(tag: str, name: str, value: str) -> bool:
    """Tell whether an attribute may stay."""
    if name == "class":
        return tag in ("div", "span") and bool(_CLASS.fullmatch(value))
    if name == "data-formula":
        return tag == "span"
    if tag == "a":
        return name == "title" or (name == "href" and bool(_LINK.match(value)))
    if tag == "img":
        return name in ("alt", "title", "width", "height") or (
            name == "src" and bool(_PICTURE.fullmatch(value))
        )
    if tag in ("td", "th"):
        return name in ("colspan", "rowspan", "align")
    return False


_cleaner = bleach.Cleaner(
    tags=_TAGS,
    attributes=_keeps,
    protocols=("http", "https", "mailto", "data"),
    strip=True,
)


def harmless_html(html: str) -> str:
    """Return HTML that neither runs, nor fetches, nor looks like a part of the page."""
    soup = BeautifulSoup(html, "html.parser")
    # the cleaner drops these tags, but would keep the text in them
    for element in soup(["script", "style", "template", "title"]):
        element.decompose()
    for image in soup("img"):
        if not _PICTURE.fullmatch(image.get("src", "")):
            image.replace_with(f"[picture: {image.get('alt') or 'not shown'}]")
    return _cleaner.clean(str(soup))


# --- strangers' outputs ---------------------------------------------------------------

_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_WIDGET = "application/vnd.jupyter.widget-view+json"
NO_WIDGET = "(a widget, which works in the notebook only)"
NOT_SHOWN = "(an output of a kind that is not shown here)"

_KEPT: dict[str, Callable[[str], str]] = {
    "text/plain": str,
    "text/markdown": str,
    "text/html": harmless_html,
    # shown as a picture, in which nothing runs
    "image/svg+xml": str,
    "image/png": lambda text: text if _BASE64.fullmatch(text) else "",
    "image/jpeg": lambda text: text if _BASE64.fullmatch(text) else "",
}


class Harmless(Preprocessor):
    """Leave of a notebook what can be shown to anyone.

    Metadata goes, since templates turn some of it into HTML; nbgrader's stays, and what
    was noted when the submission was read.
    """

    # nbconvert's own are off until someone turns them on
    enabled = Bool(True)

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        language = {"name": "python", "pygments_lexer": "ipython3"}
        notes = nb.metadata.get("fovea", {}).get("notes", [])
        nb.metadata = NotebookNode(
            language_info=NotebookNode(language), notes=[str(note) for note in notes]
        )
        for cell in nb.cells:
            kept = {k: v for k, v in cell.metadata.items() if k == "nbgrader"}
            cell.metadata = NotebookNode(kept)
            if cell.cell_type == "raw":
                cell.cell_type = "markdown"
                cell.source = f"```\n{cell.source}\n```"
            if cell.cell_type == "code":
                cell.outputs = [harmless_output(output) for output in cell.outputs]
        return nb, resources


def harmless_output(output: NotebookNode) -> NotebookNode:
    """Return an output that holds text and pictures alone."""
    kind = output.output_type
    if kind == "stream":
        name = "stderr" if output.name == "stderr" else "stdout"
        return new_output(kind, name=name, text=str(output.text))
    if kind == "error":
        lines = [str(line) for line in output.traceback]
        names = {"ename": str(output.ename), "evalue": str(output.evalue)}
        return new_output(kind, traceback=lines, **names)
    facts = {
        mime: _picture_facts(about)
        for mime, about in output.metadata.items()
        if mime.startswith("image/") and isinstance(about, dict)
    }
    shown = new_output(kind, data=_harmless_data(output.data), metadata=facts)
    if kind == "execute_result":
        shown.execution_count = output.execution_count
    return shown


def _harmless_data(data: dict[str, Any]) -> NotebookNode:
    if _WIDGET in data:
        return NotebookNode({"text/plain": NO_WIDGET})
    if "text/latex" in data and "text/markdown" not in data:
        data = {**data, "text/markdown": data["text/latex"]}
    kept = {k: f(data[k]) for k, f in _KEPT.items() if isinstance(data.get(k), str)}
    shown = NotebookNode({k: text for k, text in kept.items() if text.strip()})
    shown = shown or NotebookNode({"text/plain": NOT_SHOWN})
    if VERDICT_MIME in data:
        shown[VERDICT_MIME] = data[VERDICT_MIME]
    return shown


def _picture_facts(facts: dict[str, Any]) -> dict[str, Any]:
    sizes = {k: facts[k] for k in ("width", "height") if type(facts.get(k)) is int}
    return sizes | ({"alt": facts["alt"]} if isinstance(facts.get("alt"), str) else {})


# --- what is the graders' alone -------------------------------------------------------

_HIDDEN = re.compile(
    r"^[^\n]*### BEGIN HIDDEN TESTS.*?(^[^\n]*### END HIDDEN TESTS[^\n]*\n?|\Z)",
    re.MULTILINE | re.DOTALL,
)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ARROW = re.compile(r"^-+> ?\d+ (.*)$", re.MULTILINE)
# shorter lines say nothing that is worth hiding, and may stand anywhere
_TELLING = 16
NO_QUOTES = "(not shown: it quotes hidden tests)"
HIDDEN_FAILED = "a hidden check does not hold"


class Grades(GetGrades):
    """Nbgrader's scores, people's comments, and which scores are still to come."""

    def _get_comment(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        grade_id = cell.metadata.nbgrader["grade_id"]
        comment = self.gradebook.find_comment(
            grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        # nbgrader's own comment, "No response.", says what is to be seen
        cell.metadata.nbgrader["comment"] = comment.manual_comment

    def _get_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        super()._get_score(cell, resources)
        grade_id = cell.metadata.nbgrader["grade_id"]
        grade = self.gradebook.find_grade(
            grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        waits = grade.needs_manual_grade and grade.manual_score is None
        cell.metadata.nbgrader["pending"] = waits
        cell.metadata.nbgrader["name"] = _question(grade_id, self.notebook_id)


def _question(grade_id: str, notebook: str) -> str:
    """Return what to call a graded cell: ``ps-relu-tests`` of ``ps`` is ``relu``."""
    short = grade_id.removeprefix(f"{notebook}-").removesuffix("-tests")
    return (short or grade_id).replace("-", " ")


class ForStudents(Preprocessor):
    """Take hidden tests out of a graded notebook, and what quotes them."""

    enabled = Bool(True)

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict
    ) -> tuple[NotebookNode, ResourcesDict]:
        secrets: set[str] = set()
        for cell in nb.cells:
            if is_judged(cell):
                secrets |= hide_tests(cell)
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                _hide_quotes(output, secrets)
        return nb, resources


def hide_tests(cell: NotebookNode) -> set[str]:
    """Take the hidden part out of a graded cell and its errors; return its lines."""
    hidden = "\n".join(match[0] for match in _HIDDEN.finditer(cell.source))
    visible = _HIDDEN.sub("", cell.source).rstrip()
    message = read_verdict(cell).message
    message = HIDDEN_FAILED if message == "AssertionError" else message
    for output in cell.outputs:
        if output.output_type == "error":
            message = _where(output, visible) or message
            output.traceback = [message]
    cell.source = visible
    cell.metadata.nbgrader["message"] = _summary(cell) or message
    lines = {line.strip() for line in hidden.splitlines()}
    return {line for line in lines if len(line) >= _TELLING}


def _summary(cell: NotebookNode) -> str:
    """Return what is wrong with an answer, each thing once, as Markdown."""
    reports = [
        o.data[VERDICT_MIME] for o in cell.outputs if VERDICT_MIME in o.get("data", {})
    ]
    findings = reports[-1]["findings"] if reports else []
    return "; ".join(dict.fromkeys(finding["message"] for finding in findings))


def _where(error: NotebookNode, visible: str) -> str:
    """Return an error with the line of the cell that it comes from, if that is to be
    seen."""
    trace = _ANSI.sub("", "\n".join(error.traceback))
    lines = {line.strip() for line in visible.splitlines()}
    seen = [line for line in _ARROW.findall(trace) if line.strip() in lines]
    if not seen:
        return ""
    text = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
    return f"{text}\n  in the line: {seen[0].strip()}"


def _hide_quotes(output: NotebookNode, secrets: set[str]) -> None:
    """Replace what an output shows if some of it is among the ``secrets``."""

    def leaks(text: str) -> bool:
        plain = _ANSI.sub("", text)
        return any(secret in plain for secret in secrets)

    if output.output_type == "stream" and leaks(output.text):
        output.text = NO_QUOTES
    elif output.output_type == "error" and leaks("\n".join(output.traceback)):
        output.traceback = [NO_QUOTES]
    elif "data" in output and leaks("\n".join(map(str, output.data.values()))):
        output.data = NotebookNode({"text/plain": NO_QUOTES})
