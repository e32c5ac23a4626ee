"""Tests of the Python client: ``python -m unittest discover -s python/tests -t python``."""
