"""HyperPod: clusters with their nodes, extensions, schedulers and quotas.

AWS calls it: Cluster, ClusterExtension, ClusterSchedulerConfig, ComputeQuota. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Amazon SageMaker HyperPod" (https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-hyperpod.html).
"""
