"""Questions with instant answers; those of each topic lie in a file of their own.

They lie here so that a lecture doesn't show the answers.
"""

import html
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

FOLDER = files(__name__)


@dataclass(frozen=True)
class Question:
    """A question whose options open to say whether, and why, they are right."""

    text: str
    reasons: dict[str, str]
    answer: str

    def check(self, option: str) -> str:
        """Return the feedback on ``option``; raise ``ValueError`` if it isn't one."""
        if option not in self.reasons:
            known = ", ".join(map(repr, self.reasons))
            raise ValueError(f"{option!r} is not an option; there are: {known}")
        verdict = "Right." if option == self.answer else "Not quite."
        return f"{verdict} {self.reasons[option]}"

    def __repr__(self) -> str:
        options = [f"- {option}" for option in self.reasons]
        return "\n".join([self.text, *options, f"Answer: {self.answer}"])

    def _repr_html_(self) -> str:
        # Plain HTML opens by mouse and keyboard, in JupyterLab and without a kernel.
        rows = [
            f"<details><summary>{html.escape(option)}</summary>"
            f"<p>{html.escape(self.check(option))}</p></details>"
            for option in self.reasons
        ]
        text = html.escape(self.text)
        return f"<p><strong>Check yourself.</strong> {text}</p>" + "".join(rows)


class Quiz(list[Question]):
    """Questions to show one below the other."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return "".join(question._repr_html_() for question in self)


@cache
def questions(folder=FOLDER) -> dict[str, Question]:
    """Return the questions by name, from every TOML file in ``folder``.

    Raises ``ValueError`` for a name in two files, and for a question without its parts.
    """
    found, places = {}, {}
    texts = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    for file in sorted(texts, key=lambda file: file.name):
        for name, parts in tomllib.loads(file.read_text("utf-8")).items():
            if set(parts) != {"question", "right", "wrong"}:
                known = f"{', '.join(parts)}; expected question, right, wrong"
                raise ValueError(f"{file.name}: {name} has {known}")
            if name in found:
                both = f"{places[name]} and in {file.name}"
                raise ValueError(f"question {name!r} is in {both}: rename one of them")
            found[name] = question(parts["question"], parts["right"], *parts["wrong"])
            places[name] = file.name
    return found


def quiz(*names: str) -> Quiz:
    """Return the course's questions of these names, with instant answers.

    Raises ``ValueError`` if there is no question of that name.
    """
    for name in names:
        if name not in questions():
            close = get_close_matches(name, questions()) or questions()
            raise ValueError(f"no question {name!r}; there are: {', '.join(close)}")
    return Quiz(questions()[name] for name in names)


def question(text: str, right: str, *wrong: str) -> Question:
    """Return a question, its options in alphabetical order.

    Each option is text such as ``"4: We count the matrices."``: the option, then why
    it is right or wrong. Raises ``ValueError`` if a reason is missing, or an option is
    there twice.
    """
    reasons = {}
    for option, colon, reason in sorted(o.partition(": ") for o in (right, *wrong)):
        if not colon:
            raise ValueError(f"{option!r} has no reason; write 'option: reason'")
        if option in reasons:
            raise ValueError(f"{option!r} is an option of {text!r} twice")
        reasons[option] = reason
    return Question(text, reasons, answer=right.partition(": ")[0])
