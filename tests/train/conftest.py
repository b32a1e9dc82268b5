"""One torch thread for these tests: their nets are tiny, and threads that wait for each other on a busy machine take
ten times the time."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch = pytest.importorskip("torch", reason="pip install lvs[train]")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
