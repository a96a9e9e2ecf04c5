"""What all tests share."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

import torch

from oracle.summary import pytest_terminal_summary

torch.set_num_threads(1)  # tests run side by side, and a resumed run equals one of as many threads

__all__ = ["pytest_terminal_summary"]
