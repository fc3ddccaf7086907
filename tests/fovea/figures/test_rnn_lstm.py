import matplotlib.pyplot as plt
import numpy as np
import pytest

from fovea.figures.rnn_lstm import (
    draw_attention,
    draw_gates,
    draw_kind,
    draw_lstm,
    draw_unrolled,
)


@pytest.fixture(autouse=True)
def fresh_figures():
    with plt.style.context("default"):
        yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


@pytest.mark.parametrize(
    ("inputs", "outputs", "layers", "counts"),
    [
        ("x   ", "xxxx", 1, (1, 4, 4)),
        ("xxxx", "   x", 1, (4, 4, 1)),
        ("xx", "xx", 3, (2, 6, 2)),
    ],
    ids=["one to many", "many to one", "layers"],
)
def test_kind_has_a_box_for_each_input_state_and_output(
    inputs, outputs, layers, counts
):
    ax = draw_kind(plt.subplots()[1], inputs, outputs, layers)

    assert tuple(texts(ax).count(letter) for letter in "xhy") == counts


def test_kind_hands_every_layer_on_and_up():
    ax = draw_kind(plt.subplots()[1], "xx", "xx", layers=3)

    arrows = [text for text in ax.texts if not text.get_text()]
    across = [a for a in arrows if a.xyann[1] == a.xy[1]]
    assert len(across) == 3
    assert len(arrows) - len(across) == 2 * 4


@pytest.mark.parametrize("step", [0, 2, 3])
def test_unrolled_shows_states_up_to_the_step_alone(step):
    states = np.array([[0, 0.25], [-0.5, 1], [0.75, -1], [0.1, 0.2]])

    ax = draw_unrolled(plt.subplots()[1], "abc", states, step)

    shown = [float(text) for text in texts(ax) if "." in text]
    assert shown == states[: step + 1].ravel().tolist()
    colored = [patch.get_facecolor()[3] > 0 for patch in ax.patches]
    assert colored == [
        value != 0 and t <= step for t, state in enumerate(states) for value in state
    ]


def test_unrolled_tells_the_signs_of_states_apart():
    ax = draw_unrolled(plt.subplots()[1], "a", np.array([[0.5], [-0.5]]), 1)

    first, second = (patch.get_facecolor() for patch in ax.patches[:2])
    assert first[:3] != second[:3]
    assert first[3] == second[3]


def test_lstm_shows_the_numbers_it_is_given():
    values = {"f": 0.1, "i": 0.2, "o": 0.3, "g": -0.4, "c0": 1.5, "c1": 2.5, "h1": 0.6}

    ax = draw_lstm(plt.subplots()[1], values)

    shown = " ".join(texts(ax))
    assert all(f"{value:.2f}" in shown for value in values.values())


def test_lstm_without_numbers_shows_names_and_none():
    ax = draw_lstm(plt.subplots()[1])

    assert {"f", "i", "o", "g"} <= {*texts(ax)}
    assert not any("." in text for text in texts(ax))


def test_gates_are_drawn_over_steps_that_start_at_one():
    ax = draw_gates(plt.subplots()[1], {"f": [0.1, 0.9], "c": [2.0, 3.0]}, step=2)

    f, c, mark = ax.lines
    assert f.get_xydata().tolist() == [[1, 0.1], [2, 0.9]]
    assert c.get_linestyle() != f.get_linestyle()
    assert list(mark.get_xdata()) == [2, 2]


def test_attention_leaves_the_image_as_it_is_where_it_looked_most():
    image = np.full((3, 4, 4), 0.8)
    maps = np.array([[[0.1, 0.2], [0.3, 0.4]]])
    axes = plt.subplots(1, 3)[1]

    draw_attention(axes, image, ["star"], maps)

    shown = axes[1].images[0].get_array()
    assert np.allclose(shown[2:, 2:], 0.8)
    assert shown[0, 0, 0] < shown[0, 2, 0] < shown[2, 0, 0] < 0.8
    assert axes[1].get_title() == "star"
    assert not axes[2].images
