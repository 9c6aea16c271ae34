"""Packaging of beam-talonone: the folders of the repository are installed as ``beam_talonone.<folder>``."""

from setuptools import find_packages, setup

# The links inside beam_talonone/ lead to the top-level folders; find_packages follows them.
setup(packages=find_packages(include=["beam_talonone", "beam_talonone.*"]))
