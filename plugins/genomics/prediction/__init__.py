"""A label for every position of a sequence, or what comes next in it."""

import medhub

medhub.register(
    medhub.Task(
        id="genomics/prediction",
        package=__name__,
        summary="a label for each position of a sequence",
        modality="sequence",
        config="SequencePredictionConfig",
        model="SequencePredictionModel",
        processor="SequencePredictionProcessor",
        auto_class="AutoModelForTokenClassification",
        metrics=("q3", "recall", "sov", "perplexity", "ece"),
        dataset="cb513",
        extra="genomics",
    )
)
