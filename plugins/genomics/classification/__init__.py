"""The class of a DNA sequence or a protein, and what a variant does to it."""

import medhub

medhub.register(
    medhub.Task(
        id="genomics/classification",
        package=__name__,
        summary="the class of a DNA sequence or a protein, and what a variant does to it",
        modality="sequence",
        config="SequenceClassificationConfig",
        model="SequenceClassificationModel",
        processor="SequenceClassificationProcessor",
        auto_class="AutoModelForSequenceClassification",
        metrics=("mcc", "accuracy", "auroc", "f1", "recall", "brier", "ece"),
        dataset="promoter-core-tata",
        extra="genomics",
    )
)
