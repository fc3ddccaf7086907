import copy
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fovea
from fovea.data import Dataset, Split
from fovea.training import SCHEDULES
from tests.fovea.nets import convnet, digits, linear, points, same, weights

QUIET = {"show": False, "device": "cpu"}


def noise(X, generator):
    return X + 0.1 * torch.randn(X.shape, generator=generator)


def test_digits_are_learned():
    data = fovea.load("digits")
    model = convnet()

    history = fovea.fit(model, data, num_epochs=6, lr=1e-2, **QUIET)

    assert len(history) == 6
    assert history.val_metric[-1] > 0.95
    assert not model.training
    logits = fovea.predict(model, data.val.X, device="cpu")
    found = (logits.argmax(1).numpy() == data.val.y).mean()
    assert found == pytest.approx(history.val_metric[-1], abs=0.01)


def by_hand(model, data, step, num_steps):
    """Full batches, as everyone writes them."""
    X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
    losses = []
    for number in range(num_steps):
        loss = F.cross_entropy(model(X), y)
        model.zero_grad()
        loss.backward()
        step(model, number)
        losses.append(loss.item())
    return losses


def sgd(model, lr, weight_decay=0.0):
    for p in model.parameters():
        p.data -= lr * (p.grad + weight_decay * p.data)


def clipped(model, number):
    norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
    for p in model.parameters():
        p.data -= 0.5 * p.grad * min(1.0, 0.1 / norm.item())


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({}, lambda model, _: sgd(model, 0.5)),
        ({"weight_decay": 0.1}, lambda model, _: sgd(model, 0.5, 0.1)),
        ({"clip_norm": 0.1}, clipped),
        (
            {"schedule": lambda done: 1 - done},
            lambda model, number: sgd(model, 0.5 * (1 - number / 4)),
        ),
        (
            {"schedule": "step"},
            lambda model, number: sgd(model, 0.5 * (1, 1, 0.1, 0.01)[number]),
        ),
    ],
    ids=["plain", "weight_decay", "clip_norm", "own schedule", "step schedule"],
)
def test_full_batches_go_the_way_of_a_loop_by_hand(options, step):
    data, model = points(), linear()
    twin = copy.deepcopy(model)
    options = {"optimizer": torch.optim.SGD, "lr": 0.5, "batch_size": 64} | options

    history = fovea.fit(model, data, num_epochs=4, **options, **QUIET)

    expected = by_hand(twin, data, step, 4)
    assert history.step_loss == pytest.approx(expected, rel=1e-5)
    assert history.train_loss == pytest.approx(expected, rel=1e-5)
    for mine, hers in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, hers)


def test_losses_are_means_over_samples_also_with_a_short_last_batch():
    data, model = points(n=21), linear()

    history = fovea.fit(model, data, num_epochs=1, lr=0.0, batch_size=8, **QUIET)

    assert len(history.step_loss) == 3
    loss, metric = fovea.evaluate(model, data, device="cpu")
    out = model(torch.from_numpy(data.X))
    expected = F.cross_entropy(out, torch.from_numpy(data.y)).item()
    right = (out.argmax(1).numpy() == data.y).mean()
    assert history.train_loss[0] == pytest.approx(loss) == pytest.approx(expected)
    assert history.train_metric[0] == pytest.approx(metric) == pytest.approx(right)
    assert math.isnan(history.val_loss[0])


def test_every_sample_is_seen_once_an_epoch_in_another_order_each_time():
    X = np.arange(10, dtype=np.float32)[:, None]
    seen = []

    def look(batch, generator):
        seen.append(batch[:, 0].tolist())
        return batch

    data = Split(X, np.zeros(10, np.int64))
    fovea.fit(linear(1), data, num_epochs=2, batch_size=4, augment=look, **QUIET)

    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second != list(range(10))


def test_the_seed_alone_decides_bit_for_bit():
    data = digits()
    options = {"num_epochs": 2, "augment": noise} | QUIET
    models = [convnet(dropout=0.3) for _ in range(3)]

    for model, seed in zip(models, (1, 1, 2), strict=True):
        torch.rand(7)
        before = torch.get_rng_state()
        fovea.fit(model, data, seed=seed, **options)
        assert torch.equal(torch.get_rng_state(), before)

    assert same(models[0], models[1])
    assert not same(models[0], models[2])


class Stop(Exception):
    pass


def stopping(error, after):
    """An augmentation that raises at some step of its life."""
    steps = iter(range(after))

    def augment(X, generator):
        if next(steps, None) is None:
            raise error
        return noise(X, generator)

    augment.__name__ = "noise"
    return augment


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Stop])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, error, precision):
    data = digits()
    options = {"num_epochs": 4, "schedule": "one_cycle", "patience": 3, "lr": 1e-2}
    options |= {"precision": precision} | QUIET
    whole = convnet(dropout=0.3)
    expected = fovea.fit(whole, data, augment=noise, **options)
    options["checkpoint"] = tmp_path / "kept" / "run.pt"

    # Two steps an epoch: the fifth is in the third.
    with pytest.raises(error):
        fovea.fit(convnet(dropout=0.3), data, augment=stopping(error, 5), **options)
    resumed = convnet(seed=9, dropout=0.3)
    history = fovea.fit(resumed, data, augment=noise, **options)

    assert same(resumed, whole)
    for name in ("train_loss", "val_loss", "train_metric", "lr", "step_loss"):
        assert getattr(history, name) == getattr(expected, name)
    assert [path.name for path in options["checkpoint"].parent.iterdir()] == ["run.pt"]


KILLED = """
import sys, time
from tests.fovea.nets import convnet, digits
import fovea, torch
torch.set_num_threads(1)

def slow(X, generator):
    time.sleep(0.05)
    print("step", flush=True)
    return X

fovea.fit(convnet(), digits(), num_epochs=50, checkpoint=sys.argv[1], augment=slow,
          show=False, device="cpu")
"""


@pytest.mark.slow
def test_a_run_that_is_killed_loses_at_most_its_epoch(tmp_path):
    path = tmp_path / "run.pt"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(9):
            assert process.stdout.readline() == "step\n"
        os.kill(process.pid, signal.SIGKILL)
    model, whole = convnet(seed=9), convnet()

    seen = []
    options = {"num_epochs": 8, **QUIET}
    history = fovea.fit(
        model,
        digits(),
        checkpoint=path,
        augment=lambda X, _: (seen.append(1), X)[1],
        **options,
    )
    fovea.fit(whole, digits(), **options)

    # 4 whole epochs of 2 steps were behind it, give or take the step under way.
    assert len(history) == 8
    assert len(seen) in (8, 6)
    assert same(model, whole)


def test_a_finished_run_is_not_trained_again_but_may_be_made_longer(tmp_path, capsys):
    data, options = digits(), {"checkpoint": tmp_path / "run.pt", "device": "cpu"}
    fovea.fit(convnet(), data, num_epochs=2, **options)
    again, longer, whole = convnet(9), convnet(9), convnet()

    history = fovea.fit(again, data, num_epochs=2, **options)
    assert len(history) == 2
    said = capsys.readouterr().out
    assert "after epoch 2" in said
    assert str(tmp_path / "run.pt") in said

    fovea.fit(longer, data, num_epochs=3, **options)
    fovea.fit(whole, data, num_epochs=3, **QUIET)
    assert same(longer, whole)


def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path):
    path = tmp_path / "run.pt"
    fovea.fit(linear(), points(), num_epochs=1, lr=0.1, checkpoint=path, **QUIET)
    before = path.read_bytes()

    with pytest.raises(ValueError, match=r"lr was 0\.1 and is now 0\.2") as error:
        fovea.fit(linear(), points(), num_epochs=2, lr=0.2, checkpoint=path, **QUIET)
    assert f"delete {path}" in str(error.value)
    with pytest.raises(ValueError, match="num_parameters was 8 and is now 12"):
        fovea.fit(
            linear(3, 3), points(), num_epochs=2, lr=0.1, checkpoint=path, **QUIET
        )
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no"])
def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path, damage):
    path = tmp_path / "run.pt"
    fovea.fit(linear(), points(), num_epochs=1, checkpoint=path, **QUIET)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)

    with pytest.raises(ValueError, match="no whole checkpoint.*delete"):
        fovea.fit(linear(), points(), num_epochs=1, checkpoint=path, **QUIET)
    assert path.read_bytes() == damaged


def test_whoever_reads_a_checkpoint_gets_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    options = {"checkpoint": path, **QUIET}
    fovea.fit(linear(), points(), num_epochs=1, **options)
    before = path.read_bytes()

    with path.open("rb") as reader:
        fovea.fit(linear(), points(), num_epochs=2, **options)
        assert reader.read() == before
    before = path.read_bytes()

    def dies(state, file):
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError, match="no space"):
        fovea.fit(linear(), points(), num_epochs=3, **options)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_never_runs_code(tmp_path):
    path = tmp_path / "run.pt"
    torch.save({"settings": Stop}, path)
    with pytest.raises(ValueError, match="no whole checkpoint"):
        fovea.fit(linear(), points(), checkpoint=path, **QUIET)


def test_early_stopping_brings_the_best_weights_back(tmp_path):
    data = points()
    # Validation that contradicts: the longer it is trained, the worse.
    opposite = Split(data.X, 1 - data.y)
    model = linear()

    history = fovea.fit(
        model, data, val=opposite, num_epochs=50, patience=3, lr=0.1, **QUIET
    )

    assert history.best_epoch == 1
    assert len(history) == 4
    loss = fovea.evaluate(model, opposite, device="cpu").loss
    assert loss == pytest.approx(history.val_loss[0])
    # Also when the best epoch was one before an interruption
    resumed = linear()
    options = {"val": opposite, "lr": 0.1, "patience": 3, **QUIET}
    for num_epochs in (2, 50):
        options["checkpoint"] = tmp_path / "run.pt"
        fovea.fit(resumed, data, num_epochs=num_epochs, **options)
    assert same(resumed, model)
    with pytest.raises(ValueError, match="patience needs validation"):
        fovea.fit(model, data, patience=3, **QUIET)


@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_loader_trains_and_goes_on_as_well(tmp_path, num_workers):
    data = points()
    tensors = TensorDataset(torch.from_numpy(data.X), torch.from_numpy(data.y))
    loader = DataLoader(tensors, 16, shuffle=True, num_workers=num_workers)
    options = {"lr": 0.1, "val": loader, "checkpoint": tmp_path / "run.pt"} | QUIET
    whole, model = linear(), linear()

    history = fovea.fit(whole, loader, num_epochs=4, lr=0.1, **QUIET)
    fovea.fit(model, loader, num_epochs=2, **options)
    fovea.fit(model, loader, num_epochs=4, **options)

    assert history.train_loss[-1] < history.train_loss[0]
    assert len(history.step_loss) == 12
    assert same(model, whole)


def test_regression_has_no_accuracy_and_takes_any_metric():
    X = points().X
    data = Split(X, X @ np.float32([[1], [2], [3]]))

    def error(out, y):
        return (out - y).abs().mean()

    history = fovea.fit(
        linear(3, 1), data, loss=F.mse_loss, metric=error, val=data, **QUIET
    )
    assert history.metric_name == "error"
    assert history.curves("metric").keys() == {"train", "val"}
    history = fovea.fit(linear(3, 1), data, loss=nn.MSELoss(), **QUIET)
    assert history.metric_name == ""
    assert history.curves("metric") == {}


def test_masks_are_labels_of_every_pixel():
    data = digits(32)
    masks = Split(data.train.X, (data.train.X[:, 0] > 0.5).astype(np.int64))
    model = nn.Conv2d(1, 2, 1)

    history = fovea.fit(model, masks, num_epochs=30, lr=0.1, batch_size=8, **QUIET)

    assert history.train_metric[-1] > 0.95


def test_sixteen_bits_and_channels_last_leave_no_trace():
    data = digits(64)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 10, 6), nn.Flatten())

    def loss(out, y):
        assert out.dtype == torch.float32
        return F.cross_entropy(out, y)

    options = {"lr": 1e-2, "precision": "bfloat16", "loss": loss, "num_epochs": 10}
    history = fovea.fit(model, data, **options, **QUIET)

    assert history.train_loss[-1] < history.train_loss[0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.is_contiguous() for p in model.parameters())
    assert fovea.predict(model, data.val.X, device="cpu").dtype == torch.float32


def test_a_model_may_see_in_two_and_in_three_dimensions():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.solid = nn.Conv2d(1, 2, 3), nn.Conv3d(1, 2, 1)

        def forward(self, x):
            return self.flat(x).mean((2, 3)) + self.solid(x[:, None]).mean((2, 3, 4))

    model = Both()
    X = digits(32).train.X
    fovea.fit(model, (X, np.zeros(32, np.int64)), num_epochs=1, **QUIET)
    assert model.solid.weight.is_contiguous()


def test_data_and_frozen_weights_stay_as_they_are():
    data = points()
    X, y = data.X.copy(), data.y.copy()
    model = nn.Sequential(linear(3, 4), linear(4, 2))
    model[0].requires_grad_(False)
    frozen = weights(model[0])

    fovea.fit(model, data, num_epochs=2, weight_decay=0.1, **QUIET)

    assert (data.X == X).all()
    assert (data.y == y).all()
    pairs = zip(weights(model[0]), frozen, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_evaluating_and_predicting_leave_modes_and_statistics_alone():
    model = convnet(dropout=0.5)
    model.train()
    model[1].eval()
    before = weights(model)

    fovea.evaluate(model, digits().val, device="cpu")
    logits = fovea.predict(model, digits().val.X, device="cpu")

    assert [module.training for module in model] == [True, False, *[True] * 5]
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    assert torch.equal(logits, fovea.predict(model, digits().val.X, device="cpu"))
    assert not logits.requires_grad


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_0_and_1_and_end_low(name):
    factors = [SCHEDULES[name](step / 1000) for step in range(1000)]

    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, abs=1e-2)
    assert factors[-1] <= 0.011 or name == "constant"
    peak = factors.index(max(factors))
    assert peak == (300 if name == "one_cycle" else 0)
    assert sorted(factors[peak:], reverse=True) == factors[peak:]


def test_a_schedule_is_asked_at_every_step():
    asked = []

    def schedule(done):
        asked.append(done)
        return 0.5

    options = {"num_epochs": 2, "batch_size": 20, "lr": 0.1, "schedule": schedule}
    history = fovea.fit(linear(), points(40), **options, **QUIET)

    assert asked == [0.0, 0.25, 0.5, 0.75]
    assert history.lr == [0.05, 0.05]


def test_validation_and_what_comes_after_are_in_evaluation_mode():
    data, model = digits(), convnet(dropout=0.5)
    history = fovea.fit(model, data, num_epochs=1, lr=0.0, **QUIET)
    loss = fovea.evaluate(model, data.val, device="cpu").loss
    assert history.val_loss[0] == pytest.approx(loss)

    fovea.fit(model, data.train, num_epochs=1, **QUIET)
    assert not any(module.training for module in model.modules())


def test_an_unknown_schedule_names_those_there_are():
    with pytest.raises(ValueError, match="'cosin'.*constant, step, cosine, one_cycle"):
        fovea.fit(linear(), points(), schedule="cosin", **QUIET)


def test_one_batch_is_learned_by_heart_on_a_copy():
    model = convnet()
    before = weights(model)

    history = fovea.overfit_one_batch(model, digits().train, lr=1e-2)

    assert history.train_metric[-1] == 1
    assert history.train_loss[-1] < 0.05
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))


def test_a_model_that_forgets_its_input_does_not_overfit():
    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(10))

        def forward(self, x):
            return self.bias.expand(len(x), 10)

    history = fovea.overfit_one_batch(Deaf(), digits().train, lr=1e-2)
    assert history.train_metric[-1] < 0.5


def test_the_learning_rate_found_is_between_too_low_and_exploding():
    model = convnet()
    before = weights(model)

    test = fovea.find_learning_rate(model, digits().train, high=100.0, device="cpu")

    assert len(test.lr) == len(test.loss) <= 100
    assert 1e-4 < test.suggestion < 0.3
    # It went on until the loss exploded.
    assert test.loss[-1] > 4 * min(test.loss[:-1])
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    good = fovea.fit(model, digits(), lr=test.suggestion, num_epochs=5, **QUIET)
    assert good.train_loss[-1] < 0.5 * good.train_loss[0]
    ax = test.plot()
    assert ax.get_xlabel() == "learning rate"
    assert ax.get_xscale() == "log"


def test_parameters_are_counted_if_they_can_be_trained():
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16))
    assert fovea.count_parameters(model) == 16 * 3 * 9 + 16 + 32
    model[0].requires_grad_(False)
    assert fovea.count_parameters(model) == 32


def test_a_whole_data_set_validates_on_val():
    data = digits()
    swapped = Dataset("swapped", data.train, data.test, data.val, data.class_names)
    one = fovea.fit(convnet(), data, num_epochs=1, **QUIET)
    other = fovea.fit(convnet(), swapped, num_epochs=1, **QUIET)
    given = fovea.fit(convnet(), data, val=data.test, num_epochs=1, **QUIET)

    assert one.val_loss != other.val_loss
    assert given.val_loss == other.val_loss


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_goes_on_and_predicts(tmp_path):
    data, model = fovea.load("digits"), convnet(dropout=0.1)
    options = {"lr": 1e-2, "checkpoint": tmp_path / "run.pt", "show": False}

    fovea.fit(model, data, num_epochs=3, **options)
    history = fovea.fit(model, data, num_epochs=6, patience=5, **options)

    assert len(history) == 6
    assert history.val_metric[-1] > 0.95
    assert next(model.parameters()).is_cuda
    assert fovea.predict(model, data.val.X).device.type == "cpu"
    assert 0 < history.data_s[-1] < history.compute_s[-1]
