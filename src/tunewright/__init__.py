"""Automatic model tuning."""
