"""Two sequences laid side by side, with a probability for every column."""

import medhub

medhub.register(
    medhub.Task(
        id="genomics/alignment",
        package=__name__,
        summary="two sequences aligned, with a confidence for each column",
        modality="sequence",
        config="SequenceAlignmentConfig",
        model="SequenceAlignmentModel",
        processor="SequenceAlignmentProcessor",
        auto_class="AutoModel",
        metrics=("recall", "precision", "f1", "recall_10_30", "ece"),
        dataset="balifam",
        extra="genomics",
    )
)
