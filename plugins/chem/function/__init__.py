"""The biological functions of a gene or protein, told from its sequence."""

import medhub

medhub.register(
    medhub.Task(
        id="chem/function",
        package=__name__,
        summary="the functions of a gene or protein",
        modality="sequence",
        config="FunctionConfig",
        model="FunctionModel",
        processor="FunctionProcessor",
        auto_class="AutoModelForSequenceClassification",
        metrics=("fmax", "auroc", "auprc", "mcc", "smin", "ece"),
        dataset="antimicrobial-peptides",
        extra="chem",
    )
)
