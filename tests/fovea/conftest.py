"""No test leaves a figure or a number of threads behind."""

import matplotlib.pyplot as plt
import pytest
import torch


@pytest.fixture(autouse=True)
def nothing_left_behind():
    # Small networks are fastest with one thread.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    plt.close("all")
