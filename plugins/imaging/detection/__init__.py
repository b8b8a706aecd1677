"""Boxes around what an image shows: blood cells, nuclei, or the objects of the user's own images."""

import medhub

medhub.register(
    medhub.Task(
        id="imaging/detection",
        package=__name__,
        summary="boxes of tumours, vessels, organs, cells",
        modality="image",
        config="ImageDetectionConfig",
        model="ImageDetectionModel",
        processor="ImageDetectionProcessor",
        auto_class="AutoModelForObjectDetection",
        metrics=("map50", "map", "froc", "counting", "expected_counting", "count_error"),
        dataset="cbc",
        extra="imaging",
    )
)
