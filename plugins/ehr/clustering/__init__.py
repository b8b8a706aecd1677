"""Patients into groups that hold up: who is like whom, by what was measured and diagnosed."""

import medhub

medhub.register(
    medhub.Task(
        id="ehr/clustering",
        package=__name__,
        summary="patients into groups that hold up",
        modality="patient record",
        config="PatientClusteringConfig",
        model="PatientClusteringModel",
        processor="PatientClusteringProcessor",
        auto_class="AutoModel",
        metrics=(
            "stability", "silhouette", "davies_bouldin", "nmi", "logrank_p", "latent_silhouette",
            "latent_davies_bouldin",
        ),
        dataset="support2",
        extra="",
    )
)  # fmt: skip
