"""A study into classes: normal or pneumonia, benign or malignant, or the classes of the user's own images."""

import medhub

medhub.register(
    medhub.Task(
        id="imaging/classification",
        package=__name__,
        summary="a study into classes",
        modality="image",
        config="ImageClassificationConfig",
        model="ImageClassificationModel",
        processor="ImageClassificationProcessor",
        auto_class="AutoModelForImageClassification",
        metrics=("auroc", "accuracy", "sensitivity", "specificity", "precision", "f1", "auprc", "brier", "ece"),
        dataset="pneumoniamnist",
        extra="imaging",
    )
)
