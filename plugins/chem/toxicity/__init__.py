"""The toxicities of a molecule, told from its structure."""

import medhub

medhub.register(
    medhub.Task(
        id="chem/toxicity",
        package=__name__,
        summary="the toxicities of a molecule",
        modality="molecule",
        config="ToxicityConfig",
        model="ToxicityModel",
        processor="ToxicityProcessor",
        auto_class="AutoModelForSequenceClassification",
        # no accuracy: of the assays' molecules nine in ten are harmless, and so calling all of them is 90 % right
        metrics=("auroc", "auprc", "sensitivity", "specificity", "precision", "mcc", "brier", "ece"),
        dataset="clintox",
        extra="chem",
    )
)
