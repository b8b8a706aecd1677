"""The risk of an outcome, told from a patient's record so far."""

import medhub

medhub.register(
    medhub.Task(
        id="ehr/prediction",
        package=__name__,
        summary="the risk of an outcome from the record so far",
        modality="patient record",
        config="OutcomePredictionConfig",
        model="OutcomePredictionModel",
        processor="OutcomePredictionProcessor",
        auto_class="AutoModelForSequenceClassification",
        # no accuracy: of the patients six in seven survive, and so saying it of all is 86 % right
        metrics=("auroc", "auprc", "brier", "ece", "sensitivity_at_90_specificity", "net_benefit"),
        dataset="physionet2012",
        extra="",
    )
)
