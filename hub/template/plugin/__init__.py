"""A heart's rhythm, told from the intervals between its beats."""

import medhub

# Change: each line below, and the sentence above. The registry reads this file when somebody asks for the task, so it
# holds nothing but the registration, and imports nothing but medhub.
medhub.register(
    medhub.Task(
        id="example/rhythm",
        package=__name__,
        summary="whether a heart beats regularly, from the intervals between its beats",
        modality="intervals",
        config="ExampleRhythmConfig",
        model="ExampleRhythmModel",
        processor="ExampleRhythmProcessor",
        auto_class="AutoModelForSequenceClassification",
        metrics=("auroc", "accuracy", "mcc"),  # the first one chooses the checkpoint that is kept
        dataset="synthetic",  # a name in data.py's DATASETS, once there is one
        extra="",
    )
)
