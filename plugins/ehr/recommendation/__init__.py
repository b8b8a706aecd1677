"""The drugs for the coming visit, told from the visits before and what is known of this one."""

import medhub

medhub.register(
    medhub.Task(
        id="ehr/recommendation",
        package=__name__,
        summary="the drugs for the coming visit",
        modality="events",
        config="RecommendationConfig",
        model="RecommendationModel",
        processor="RecommendationProcessor",
        auto_class="AutoModelForSequenceClassification",
        metrics=("jaccard", "exact", "f1", "prauc", "precision@1", "recall@3", "auprc", "ece", "ddi_rate",
                 "ddi_rate_given", "policy_value"),
        dataset="diabetes130",
        extra="",
    )
)  # fmt: skip
