"""What `docs/fovea.md` shows works, and goes on where it was."""

import re
from pathlib import Path

import fovea
from fovea.training import SCHEDULES

PAGE = (Path(__file__).parents[2] / "docs" / "fovea.md").read_text()


def test_the_lines_train_plot_and_resume(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(code.strip().splitlines()) <= 12
    names = {}
    exec(code, names)
    score = fovea.evaluate(names["model"], names["data"].test)
    assert score.metric > 0.95
    assert str(score) in capsys.readouterr().out

    exec(code, names)
    assert "after epoch 20" in capsys.readouterr().out
    assert fovea.evaluate(names["model"], names["data"].test) == score


def test_the_page_names_what_there_is():
    for name in SCHEDULES.keys() - {"constant"}:
        assert f'"{name}"' in PAGE
    for name in re.findall(r"`fovea\.(\w+)[`(]", PAGE):
        assert name in [*fovea.__all__, "models", "plotting"], name
