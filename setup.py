"""Maps the folders hub/, plugins/, spaces/ and zoo/ to the import name medhub; everything else stands in setup.cfg."""

from setuptools import find_packages, setup

packages = ["medhub", *(f"medhub.{name}" for name in find_packages("hub"))]
packages += ["medhub.plugins", *(f"medhub.plugins.{name}" for name in find_packages("plugins"))]
setup(packages=[*packages, "medhub.spaces", "medhub.zoo", "medhub.template"])
