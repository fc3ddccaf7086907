import pytest

from fovea.questions import question, questions, quiz

SUM = question("1 + 1?", "2: As it should.", "10: In base 2.", "1.5: No.")


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
    page = question("a<b?", "x<y: <i>")._repr_html_()

    assert "a&lt;b?" in page
    assert "x&lt;y" in page
    assert "<i>" not in page


def test_question_refuses_an_option_without_reason():
    with pytest.raises(ValueError, match="'4'.*reason"):
        question("2 + 2?", "4")


def test_question_refuses_an_option_that_is_there_twice():
    with pytest.raises(ValueError, match="'4'.*twice"):
        question("2 + 2?", "4: Yes.", "4: No.")


@pytest.mark.parametrize("name", questions())
def test_question_of_the_course_has_one_right_option_among_several(name):
    (asked,) = quiz(name)

    verdicts = [asked.check(option).startswith("Right.") for option in asked.reasons]
    assert len(verdicts) > 1
    assert sum(verdicts) == 1
    assert asked.text.endswith("?")


def test_quiz_shows_all_its_questions_in_html_and_text():
    asked = quiz("reuse", "layers")

    for shown in (asked._repr_html_(), repr(asked)):
        assert shown.index("L = p·p + p") < shown.index("How many layers")


@pytest.mark.parametrize(
    ("name", "known"),
    [("layer", "layers$"), ("xyz", "layers, .*reuse")],
    ids=["near", "far"],
)
def test_quiz_of_an_unknown_name_lists_near_ones_or_else_all(name, known):
    with pytest.raises(ValueError, match=f"'{name}'.*{known}"):
        quiz(name)


SUMS = """
[{name}]
question = "1 + 1?"
right = "2: Yes."
wrong = ["3: No.", "11: Count."]
"""


def write(folder, **files):
    for topic, text in files.items():
        (folder / f"{topic}.toml").write_text(text, encoding="utf-8")
    (folder / "notes.txt").write_text("no questions", encoding="utf-8")


def test_questions_of_every_topic_are_found(tmp_path):
    write(tmp_path, cnn=SUMS.format(name="stride"), rnn=SUMS.format(name="'∂h'"))

    found = questions(tmp_path)

    assert list(found) == ["stride", "∂h"]
    assert found["stride"] == question("1 + 1?", "2: Yes.", "3: No.", "11: Count.")


def test_a_name_in_two_topics_names_both_files(tmp_path):
    write(tmp_path, cnn=SUMS.format(name="sum"), rnn=SUMS.format(name="sum"))

    with pytest.raises(ValueError, match="'sum' is in cnn.toml and in rnn.toml"):
        questions(tmp_path)


@pytest.mark.parametrize(
    "text", ["[sum]\nright = '2: Yes.'", SUMS.format(name="sum") + "hint = ''"]
)
def test_a_question_without_its_parts_names_file_and_question(tmp_path, text):
    write(tmp_path, cnn=text)

    with pytest.raises(
        ValueError, match="cnn.toml: sum has .*expected question, right"
    ):
        questions(tmp_path)
