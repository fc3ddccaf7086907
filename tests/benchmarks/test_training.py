"""The benchmark of training measures what it says; how fast is not for a test."""

import json
import sys

import pytest
import torch

from benchmarks import training
from tests.fovea.nets import digits

KEYS = {"loop_ratio", "lightning_ratio", "accuracy", "seconds", "images_per_second"}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_all_are_measured_on_every_seed_and_only_json_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(training, "images", lambda num: digits(num))
    monkeypatch.setattr(training, "find_lightning", lambda: False)
    monkeypatch.setattr(training, "peak_flops", lambda *_: 1e12)
    arguments = ["--images", "256", "--epochs", "2", "--seeds", "2", "--json"]
    monkeypatch.setattr(sys, "argv", ["training", *arguments])

    training.main()

    figures = json.loads(capsys.readouterr().out)
    assert figures.keys() > KEYS
    names = ["fovea", "loop", "loop, 2 workers"]
    assert list(figures["accuracy"]) == names
    assert all(len(found) == 2 for found in figures["accuracy"].values())
    seconds = figures["seconds"]
    assert figures["lightning_ratio"] is None
    assert figures["loop_ratio"] == pytest.approx(
        min(seconds["loop"], seconds["loop, 2 workers"]) / seconds["fovea"], rel=0.2
    )
    assert 0 < figures["share_of_peak"] < 1


def test_contestants_train_the_same_network_equally_well():
    data = digits(512)
    for train in (training.train_with_fovea, training.train_by_the_book):
        torch.manual_seed(0)
        model = training.network(data)
        train(model, data, 15, 0)
        model.eval()
        found = model(torch.from_numpy(data.val.X)).argmax(1).numpy()
        assert (found == data.val.y).mean() > 0.85
