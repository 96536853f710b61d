"""The processes of a run: what the launcher reports, compared with what the machine has."""

import pytest
import torch

from rookery.core.errors import UsageError
from rookery.model.degrees import Degrees
from rookery.model.parallel.processes import ProcessRank, joined


def test_more_processes_than_gpus_are_refused_before_they_meet(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        UsageError, match="2 processes or more were started on a machine with 1 GPUs"
    ):
        with joined(ProcessRank(1, 2, 1), Degrees()):
            pass
