"""Regions of an image: nuclei, parts of an organ, or whatever the masks of the user's own images show."""

import medhub

medhub.register(
    medhub.Task(
        id="imaging/segmentation",
        package=__name__,
        summary="regions of organs, tumours, cells",
        modality="image",
        config="ImageSegmentationConfig",
        model="ImageSegmentationModel",
        processor="ImageSegmentationProcessor",
        auto_class="AutoModelForSemanticSegmentation",
        metrics=("dice", "iou", "hd95", "surface_dice", "ap50"),
        dataset="dsb2018",
        extra="imaging",
    )
)
