"""Scenarios against what a user would pick instead, on one machine in one interleaved run."""
