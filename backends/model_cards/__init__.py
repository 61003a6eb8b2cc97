"""Model cards: what a model is for, how it was trained and evaluated, in versions; and their export to PDF.

AWS calls it: ModelCard (every change of the content is a new version; an older one stays as it was) and ModelCardExportJob.
States: a card has none, ModelCardStatus is what its owner says; an export job is InProgress -> Completed | Failed. Tables: none of
its own; older contents are documents of the kind ModelCardContent. Events: Created and Deleted of cards, statuses of export jobs;
EventBridge hears `SageMaker Model Card State Change`. Heard: none; an export is promised work (`backends/core/work.py`).
Guide: "Amazon SageMaker Model Cards" (https://docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html).
"""
