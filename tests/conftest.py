"""What all tests share."""

from oracle.summary import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
