"""Comparisons with the published implementations; ``oracle.plumbing`` finds, reads and reports."""
