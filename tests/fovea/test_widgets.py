from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from fovea import widgets
from fovea.plotting import Picture, use_style


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
    assert picture.png != shown.outputs[1].png


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


def draw_pair(axes, width=3, noise=0.1, mirrored=False):
    """A bar, and its mirror image."""
    for ax, sign in zip(axes.flat, (1, -1 if mirrored else 1), strict=True):
        ax.bar(0, sign * width + noise)


def test_draw_gets_as_many_axes_as_asked_for():
    shapes = []

    def draw(axes, x=1):
        """Nothing."""
        shapes.append(axes.shape)

    for subplots in ((1, 2), (2, 1), (2, 3)):
        widgets.explore(draw, subplots=subplots, x=(0, 1, 1))

    assert shapes == [(2,), (2,), (2, 3)]


def test_axes_beside_each_other_have_room_for_their_labels():
    boxes = []

    def draw(axes, x=1):
        """Four empty plots."""
        for ax in axes.flat:
            ax.set(title="Title", xlabel="x", ylabel="height", ylim=(-10, 10))
        axes[0, 0].figure.canvas.draw()
        boxes.extend(ax.get_tightbbox() for ax in axes.flat)

    with plt.style.context("default"):
        use_style()
        widgets.explore(draw, figsize=(6, 5), subplots=(2, 2), x=(0, 1, 1))

    left, right, below, _ = boxes
    assert left.x1 < right.x0
    assert below.y1 < left.y0


def test_each_kind_of_range_has_its_control():
    explorer = widgets.explore(
        draw_pair,
        subplots=(1, 2),
        width=(1, 9, 2),
        noise=(0.0, 1.0, 1e-4),
        mirrored=False,
    )

    kinds = [type(control).__name__ for control in explorer.controls.values()]
    assert kinds == ["IntSlider", "FloatSlider", "Checkbox"]
    assert explorer.values() == {"width": 3, "noise": 0.1, "mirrored": False}
    assert explorer.controls["noise"].readout_format == ".4f"
    assert explorer.picture.alt.endswith("width = 3, noise = 0.1, mirrored = False.")


def test_a_checkbox_redraws(shown):
    explorer = widgets.explore(draw_pair, subplots=(1, 2), mirrored=False)
    explorer._ipython_display_()

    explorer.controls["mirrored"].value = True

    (picture,) = shown.updates
    assert picture.png != shown.outputs[1].png


@pytest.mark.parametrize(
    "ranges",
    [
        {"slope": (2.0, 3.0, 0.5)},
        {"slope": (0, 3, 2)[:1]},
        {"color": ["red", "blue"]},
        {"color": ("black", "red")},
    ],
    ids=["outside", "short", "not-in-menu", "tuple-of-words"],
)
def test_a_range_without_the_default_of_draw_is_refused(ranges):
    (name,) = ranges

    with pytest.raises(ValueError, match=f"{name}: no control of"):
        widgets.explore(draw_line, **ranges)


def test_an_int_slider_for_half_a_default_is_refused():
    with pytest.raises(ValueError, match=r"noise: .*can start at 0\.1"):
        widgets.explore(draw_pair, subplots=(1, 2), noise=(0, 2, 1))


def test_shown_again_an_explorer_shows_what_its_controls_say(shown):
    explorer = widgets.explore(draw_line, slope=(-2.0, 2.0, 0.5))
    explorer._ipython_display_()
    explorer.controls["slope"].value = -2.0

    explorer._ipython_display_()

    assert shown.outputs[-1] == shown.updates[-1]
    assert "slope = -2." in shown.outputs[-1].alt
