"""Several models behind one endpoint: components, experiments with shadows, routers.

AWS calls it: InferenceComponent, InferenceExperiment, InferenceRouter. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Shadow tests" (https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests.html).
"""
