import sys
import types

import matplotlib.pyplot as plt
import pytest
import torch

import fovea
from fovea import progress
from fovea.progress import History, Stopwatch
from tests.fovea.nets import linear, points

CPU = torch.device("cpu")


def history(val=True):
    told = History("accuracy")
    for train, valid in ((2.0, 3.0), (1.0, 0.5), (0.5, 0.75)):
        told.append(train_loss=train, train_metric=0.5, val_metric=0.25)
        told.append(val_loss=valid if val else float("nan"), seconds=2.0)
    if not val:
        told.val_metric = [float("nan")] * 3
    return told


def test_the_best_epoch_is_that_of_validation_else_of_training():
    assert history().best_epoch == 2
    assert history(val=False).best_epoch == 3
    assert History().best_epoch == 0


@pytest.mark.parametrize(
    ("patience", "stalled"), [(1, True), (2, False), (None, False)]
)
def test_a_run_stalls_when_patience_is_over(patience, stalled):
    assert history().stalled(patience) is stalled


def test_a_history_says_how_it_went():
    text = repr(history())
    for part in ("3 epochs in 6.0 s", "number 2", "val loss 0.5", "train accuracy 0.5"):
        assert part in text
    assert "val" not in repr(history(val=False))
    assert repr(History()) == "History of no epoch"


def test_plots_hold_what_was_measured():
    loss, metric = history().plot()

    assert [line.get_label() for line in loss.lines] == ["train", "val"]
    assert list(loss.lines[1].get_ydata()) == [3.0, 0.5, 0.75]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]
    assert (loss.get_ylabel(), metric.get_ylabel()) == ("loss", "accuracy")
    assert metric.get_xlabel() == "epoch"


def test_plots_leave_out_what_was_not_measured():
    told = history(val=False)
    told.train_metric = [float("nan")] * 3
    axes = told.plot()
    assert len(axes) == 1
    assert [line.get_label() for line in axes[0].lines] == ["train"]


def test_nothing_to_plot_is_said():
    with pytest.raises(ValueError, match="no epoch was trained"):
        History().plot()


def test_a_stopwatch_splits_waiting_from_computing(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def batches():
        for seconds in (1.0, 2.0, 9.0):
            now[0] += seconds
            yield "batch"

    watch = Stopwatch(CPU)
    for number, batch in enumerate(watch.watch(batches())):
        assert batch == "batch"
        now[0] += 10.0 * (number + 1)

    assert watch.data_s == [1.0, 2.0, 9.0]
    assert watch.compute_s == [10.0, 20.0, 30.0]
    assert watch.medians() == {"data_s": 2.0, "compute_s": 20.0}


@pytest.mark.parametrize(
    ("data_s", "compute_s", "cure"),
    [(0.6, 0.1, "keep them in memory"), (0.1, 0.5, "make batches or images smaller")],
)
def test_slow_steps_are_named_once_with_what_to_do(capsys, data_s, compute_s, cure):
    watch = Stopwatch(CPU)
    with progress.Screen(True, 10) as screen:
        for _ in range(6):
            watch.data_s.append(data_s)
            watch.compute_s.append(compute_s)
            screen.show_step(watch)
        # The next epoch has a stopwatch of its own, and says nothing new.
        watch.data_s, watch.compute_s = [data_s] * 3, [compute_s] * 3
        screen.show_step(watch)

    said = capsys.readouterr().out
    assert said.count("A step takes") == 1
    assert f"A step takes {data_s + compute_s:.2f} s" in said
    assert cure in said


def test_quick_steps_are_not_worth_a_word(capsys):
    fovea.fit(linear(), points(), num_epochs=3, batch_size=4, device="cpu")
    assert "A step takes" not in capsys.readouterr().out


def test_the_bar_shows_the_numbers_on_stdout_alone(capsys):
    history = fovea.fit(linear(), points(), num_epochs=2, device="cpu")

    told = capsys.readouterr()
    assert told.err == ""
    assert "2/2" in told.out
    assert history.describe(2) in told.out


def test_nothing_is_shown_when_nothing_is_asked_for(capsys):
    fovea.fit(linear(), points(), num_epochs=2, device="cpu", show=False)
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_tells_how_to_go_on(capsys):
    def interrupt(X, generator):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fovea.fit(linear(), points(), augment=interrupt, device="cpu")
    said = capsys.readouterr().out
    assert "after 0 whole epochs" in said
    assert "checkpoint=" in said


def test_a_notebook_shows_the_curves_as_they_grow(monkeypatch):
    import IPython

    places, shown = [], []

    def display(what, display_id):
        places.append(what)
        return types.SimpleNamespace(update=shown.append)

    kernel = types.SimpleNamespace(kernel=object())
    monkeypatch.setattr(IPython, "get_ipython", lambda: kernel)
    monkeypatch.setattr(IPython.display, "display", display)
    # Every epoch, however long drawing takes
    monkeypatch.setattr(progress, "DRAWING_SHARE", float("inf"))
    fovea.fit(linear(), points(), num_epochs=3, device="cpu")
    fovea.fit(linear(), points(), num_epochs=1, device="cpu")
    fovea.fit(linear(), points(), num_epochs=1, device="cpu", show=False)

    assert len(places) == 2
    starts = [picture.alt.partition(": train loss")[0] for picture in shown]
    wanted = ["Epoch 2", "Epoch 3", "Epoch 1"]
    assert starts == [f"Curves of training. {epoch}" for epoch in wanted]
    assert not plt.get_fignums()


def test_tensorboard_gets_every_curve_when_it_is_asked_for(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    split = points()
    history = fovea.fit(
        linear(), split, val=split, num_epochs=2, tensorboard=tmp_path, device="cpu"
    )

    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["scalars"] == [
        *("loss/train", "loss/val", "accuracy/train", "accuracy/val")
    ]
    found = [(event.step, event.value) for event in events.Scalars("loss/val")]
    assert found == [
        (1, pytest.approx(history.val_loss[0])),
        (2, pytest.approx(history.val_loss[1])),
    ]


def test_a_missing_tensorboard_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        fovea.fit(linear(), points(), tensorboard=tmp_path, device="cpu")
