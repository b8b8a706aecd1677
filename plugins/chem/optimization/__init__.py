"""Better molecules near a given one, or from nothing."""

import medhub

medhub.register(
    medhub.Task(
        id="chem/optimization",
        package=__name__,
        summary="new molecules: drawn from nothing, or better ones near a given one",
        modality="molecule",
        config="OptimizationConfig",
        model="OptimizationModel",
        processor="OptimizationProcessor",
        auto_class="AutoModel",
        metrics=("frag", "scaf", "snn", "valid", "unique", "similarity"),
        dataset="moses",
        extra="chem",
    )
)
