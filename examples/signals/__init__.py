"""Signals: time series, filters and speech.

Real-valued sequences: forecasts, digital filters, and labels without an alignment.
"""
