from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from fovea import widgets
from fovea.plotting import Picture
from fovea.questions import QUESTIONS


def draw_line(ax, slope=1.0, color="black"):
    """A line through the origin."""
    ax.plot([0, 1], [0, slope], color=color)


@pytest.fixture
def shown(monkeypatch):
    """What is displayed: a list of outputs, and of updates of the figure."""
    record = SimpleNamespace(outputs=[], updates=[])

    def display(thing, **options):
        record.outputs.append(thing)
        return SimpleNamespace(update=record.updates.append)

    monkeypatch.setattr(widgets, "display", display)
    return record


def test_controls_start_at_the_defaults_of_draw():
    explorer = widgets.explore(
        draw_line, slope=(-2.0, 2.0, 0.5), color=["red", "black"]
    )

    assert explorer.values() == {"slope": 1.0, "color": "black"}
    assert (explorer.controls["slope"].min, explorer.controls["slope"].max) == (-2, 2)


def test_static_picture_is_an_output_of_its_own_and_says_what_is_shown(shown):
    widgets.explore(draw_line, slope=(-2.0, 2.0, 0.5))._ipython_display_()

    controls, picture = shown.outputs
    assert controls["text/plain"] == "Run this cell in Jupyter to change: slope."
    assert isinstance(picture, Picture)
    assert picture.alt == "A line through the origin. Shown for slope = 1."


def test_moving_a_control_redraws_the_figure(shown):
    explorer = widgets.explore(draw_line, slope=(-2.0, 2.0, 0.5))
    explorer._ipython_display_()

    explorer.controls["slope"].value = -2.0

    (picture,) = shown.updates
    assert "slope = -2." in picture.alt
    assert picture.png != explorer.picture.png


def test_error_of_draw_stops_the_cell_that_made_the_widget():
    def draw(ax, x=0):
        """Nothing."""
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        widgets.explore(draw, x=(0, 1, 1))
    assert not plt.get_fignums()


def test_error_of_draw_after_a_change_is_not_swallowed(shown):
    def draw(ax, x=1):
        """One over x."""
        ax.plot([1 / x])

    explorer = widgets.explore(draw, x=(0, 1, 1))
    explorer._ipython_display_()

    with pytest.raises(ZeroDivisionError):
        explorer.controls["x"].value = 0


def test_a_range_for_no_parameter_names_those_there_are():
    with pytest.raises(ValueError, match="'slop'.*slope, color"):
        widgets.explore(draw_line, slop=(0.0, 1.0, 0.1))


def test_draw_without_words_is_refused():
    with pytest.raises(ValueError, match="docstring"):
        widgets.explore(lambda ax, x=0: ax, x=(0, 1, 1))


SUM = widgets.question("1 + 1?", "2: As it should.", "10: In base 2.", "1.5: No.")


@pytest.mark.parametrize(
    ("option", "feedback"),
    [("2", "Right. As it should."), ("10", "Not quite. In base 2.")],
    ids=["right", "wrong"],
)
def test_question_answers_at_once(option, feedback):
    assert SUM.check(option) == feedback


def test_question_orders_options_so_that_the_right_one_is_not_first():
    assert list(SUM.reasons) == ["1.5", "10", "2"]


def test_question_names_its_options_when_asked_for_another():
    with pytest.raises(ValueError, match="'3'.*'1.5', '10', '2'"):
        SUM.check("3")


def test_question_without_kernel_is_html_and_text():
    page = SUM._repr_html_()

    assert page.count("<details>") == 3
    assert "<summary>2</summary><p>Right. As it should.</p>" in page
    assert repr(SUM).splitlines()[0] == "1 + 1?"
    assert repr(SUM).endswith("Answer: 2")


def test_question_escapes_what_looks_like_html():
    page = widgets.question("a<b?", "x<y: <i>")._repr_html_()

    assert "a&lt;b?" in page
    assert "x&lt;y" in page
    assert "<i>" not in page


def test_question_refuses_an_option_without_reason():
    with pytest.raises(ValueError, match="'4'.*reason"):
        widgets.question("2 + 2?", "4")


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_of_the_course_has_one_right_option_among_several(name):
    (asked,) = widgets.quiz(name)

    verdicts = [asked.check(option).startswith("Right.") for option in asked.reasons]
    assert len(verdicts) == len(QUESTIONS[name]) - 1 > 1
    assert sum(verdicts) == 1


def test_quiz_shows_all_its_questions_in_html_and_text():
    asked = widgets.quiz("reuse", "layers")

    for shown in (asked._repr_html_(), repr(asked)):
        assert shown.index("L = p·p + p") < shown.index("How many layers")


def test_quiz_of_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'layer'.*layers, "):
        widgets.quiz("layer")
