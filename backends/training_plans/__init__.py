"""Training plans: capacity bought ahead; there is none to buy here.

AWS calls it: TrainingPlan and ReservedCapacity. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Reserve training plans for your training jobs or HyperPod clusters" (https://docs.aws.amazon.com/sagemaker/latest/dg/reserve-capacity-with-training-plans.html).
"""
