import pytest
from threadpoolctl import threadpool_limits

pytest.register_assert_rewrite(
    "tests.grader.checks.every_topic", "tests.grader.checks.hunting"
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Compute as the grader does: in one thread, which is faster for small arrays."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
