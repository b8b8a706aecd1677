"""Every error that MedHub raises on purpose, as one tree.

    MedHubError
    ├── RegistryError      UnknownTask · DuplicateTask · BrokenPlugin
    ├── InputError         a raw input (file, SMILES, table row) that cannot be used
    ├── DataError          UnknownDataset · SourceUnavailable · ChecksumError · SplitError · LabelError
    ├── LoadError          ModelNotFound · ConfigError · WeightsError · ProcessorError · ModalityError
    ├── CheckpointError    a training run that cannot be saved or resumed
    ├── PublishError       a model folder that must not be pushed
    └── CheckFailed        a conformance rule that a plugin breaks

A message says what was asked, what was found, the nearest match where there is one, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MedHubError(Exception):
    """Base of all errors that MedHub raises on purpose."""


class RegistryError(MedHubError):
    """Something is wrong with the set of registered tasks."""


class UnknownTask(RegistryError, KeyError):
    """A task id that nobody registered."""

    __str__ = Exception.__str__  # KeyError would print the message as a quoted repr


class DuplicateTask(RegistryError):
    """Two plugins claim one task id."""


class BrokenPlugin(RegistryError):
    """A plugin that cannot be imported, or that does not register what it promised."""


class InputError(MedHubError, ValueError):
    """A raw input (file, SMILES, table row) that cannot be read or used."""


class DataError(MedHubError):
    """A data set that cannot be found, verified or split."""


class UnknownDataset(DataError, KeyError):
    """A data set name that the task does not have."""

    __str__ = Exception.__str__


class SourceUnavailable(DataError):
    """A data file that none of the cache, the mirror, the package index or the Hub could give."""


class ChecksumError(DataError):
    """A data file whose sha256 is not the declared one."""


class SplitError(DataError):
    """A split that is empty, or that puts one patient (scaffold, family ...) on two sides."""


class LabelError(DataError):
    """Labels that cannot be learnt from: missing, not finite, or all of one class."""


class LoadError(MedHubError):
    """A model folder or repository that cannot be loaded."""


class ModelNotFound(LoadError, FileNotFoundError):
    """A name that is no folder, no model of the zoo and no repository."""


class ConfigError(LoadError, ValueError):
    """A config with an unknown key, an unknown network or a value out of range."""


class WeightsError(LoadError):
    """Weights that are missing, unexpected or of another shape than the config says."""


class ProcessorError(LoadError):
    """A processor that is missing, or is not the one the model was trained with."""


class ModalityError(LoadError, InputError):
    """An input of another kind than the model was trained on (a CT given to an X-ray model)."""


class CheckpointError(MedHubError):
    """A training checkpoint that cannot be written or resumed from."""


class PublishError(MedHubError):
    """A model folder that must not be pushed as it is."""


class CheckFailed(MedHubError, AssertionError):
    """A conformance rule that a plugin breaks."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name nearest to `name`, or "." where none is near.

    >>> suggest("imaging/clasification", ["imaging/classification", "chem/toxicity"])
    "; did you mean 'imaging/classification'?"
    """
    known = [*known]
    # difflib compares case by case, but a user who types TOX21 means tox21
    folded = {candidate.lower(): candidate for candidate in known}
    match = get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[match[0]]!r}?" if match else "."
