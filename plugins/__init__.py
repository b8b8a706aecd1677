"""The tasks of this repository: a task's id, and the package under plugins/ that registers it."""

if __name__ != "medhub.plugins":
    raise ImportError(
        f"this folder is the package 'medhub.plugins', but it was imported as {__name__!r}; "
        "install MedHub (pip install -e .) and import medhub.plugins"
    )

PLUGINS = {
    "imaging/classification": "imaging.classification",
    "imaging/detection": "imaging.detection",
    "imaging/segmentation": "imaging.segmentation",
    "genomics/alignment": "genomics.alignment",
    "genomics/prediction": "genomics.prediction",
    "genomics/classification": "genomics.classification",
    "ehr/prediction": "ehr.prediction",
    "ehr/recommendation": "ehr.recommendation",
    "ehr/clustering": "ehr.clustering",
    "chem/function": "chem.function",
    "chem/toxicity": "chem.toxicity",
    "chem/optimization": "chem.optimization",
}
