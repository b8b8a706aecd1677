"""Maps the folders hub/, plugins/ and zoo/ to the import name medhub; everything else stands in setup.cfg."""

from setuptools import find_packages, setup

packages = ["medhub", *(f"medhub.{name}" for name in find_packages("hub"))]
packages += ["medhub.plugins", *(f"medhub.plugins.{name}" for name in find_packages("plugins"))]
setup(packages=[*packages, "medhub.zoo", "medhub.template"])
