"""Tests of ``backtest.report``."""
