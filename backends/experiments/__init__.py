"""Experiments, their trials, and the trial components that trials are made of.

AWS calls it: Experiment, Trial (the console: run group) and TrialComponent (run), with AssociateTrialComponent and
DisassociateTrialComponent between the last two: a component can belong to several trials. States: none; a component's Status
is what its owner says. Tables: none of its own; a component's document knows its trials (`Parents`, as Search shows them),
which Describe leaves out. Events: Created and Deleted of the three are sent; none heard yet.
Guide: "Amazon SageMaker Experiments in Studio Classic"
(https://docs.aws.amazon.com/sagemaker/latest/dg/experiments.html).
"""
