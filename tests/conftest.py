"""What all tests share."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
if os.environ.get("MASKCAST_TEST_CARD") != "1":
    # bits are compared, and commands take the best device: hide cards, from these processes too
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch

from oracle.summary import pytest_terminal_summary

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in jobs that a shell puts behind it
    signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)  # tests run side by side, and a resumed run equals one of as many threads

__all__ = ["pytest_terminal_summary"]
