"""Lineage: what came from what. Artifacts, actions and contexts, and the associations between them and experiments' entities.

AWS calls it: Artifact (named by its source: `artifact/<32 hex>`), Action, Context, Association, and the one LineageGroup that an
account and region has. States: none; an action's Status is what its owner says. Tables: lineage_edges, the associations. Events:
Created and Deleted of the three are sent; Deleted of Experiment and TrialComponent heard, whose associations go with them.
QueryLineage walks the associations, whichever way, ten steps at most. What jobs fill in by themselves comes later.
Guide: "Amazon SageMaker ML Lineage Tracking" (https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking.html).
"""
