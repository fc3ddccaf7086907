import random

import numpy as np
import pytest
import torch
from torch import nn

from fovea import device
from fovea.device import Machine, choose_device, fastest_device, set_seed

CPU = torch.device("cpu")


def test_choice_says_device_reason_threads_and_seed(capsys):
    chosen = choose_device(seed=3, num_threads=1)

    said = capsys.readouterr().out
    assert chosen == fastest_device()[0]
    assert chosen.type in said
    assert fastest_device()[1] in said
    assert "1 CPU threads, seed 3" in said
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_that_is_there_is_taken(monkeypatch, cuda, mps, expected):
    class Gpu:
        name, total_memory = "a GPU", 2**33

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Gpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    chosen, reason = fastest_device()

    assert chosen.type == expected
    assert reason


def test_a_seed_sets_all_three_generators():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    set_seed(5)
    first = draw()
    set_seed(5)
    again = draw()
    set_seed(6)
    other = draw()

    assert first == again
    assert not set(first) & set(other)


def test_sixteen_bits_are_for_image_layers_on_chips_that_compute_with_them(monkeypatch):
    convolution, plain = nn.Sequential(nn.Conv2d(1, 1, 1)), nn.Linear(2, 2)
    able = {"avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert Machine.of(convolution, CPU) == Machine(CPU, True, True)
    assert Machine.of(plain, CPU) == Machine(CPU, False, False)
    assert not Machine.of(convolution, CPU, "float32").bfloat16
    assert Machine.of(plain, CPU, "bfloat16").bfloat16

    able.clear()
    assert not Machine.of(convolution, CPU).bfloat16


def test_an_older_pytorch_that_cannot_tell_gets_32_bits(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not device.bfloat16_pays(nn.Conv2d(1, 1, 1), CPU)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float16'.*'bfloat16'"):
        Machine.of(nn.Linear(1, 1), CPU, "float16")


def test_a_single_channel_is_laid_out_like_many():
    model = nn.Conv2d(1, 8, 3)
    machine = Machine.of(model, CPU)
    images = (torch.zeros(4, 1, 6, 6), torch.zeros(4))

    with machine.hosting(model):
        assert model.weight.stride() == (9, 1, 3, 1)
        X, _ = next(machine.batches([images], 4))
        assert X.stride() == (36, 1, 6, 1)
    assert model.weight.stride() == (9, 9, 3, 1)
