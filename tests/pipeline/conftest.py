"""What the tests of the commands share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def restore_torch_settings():
    """Training sets them for its whole process; the tests of other modules shall not notice."""
    threads, fill = torch.get_num_threads(), torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = fill
    torch.set_num_threads(threads)
