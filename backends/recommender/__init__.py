"""Which machine and form suit a model: recommendations, optimization, benchmarks, and the workloads that they measure with.

AWS calls it: InferenceRecommendationsJob, OptimizationJob, AIBenchmarkJob, AIRecommendationJob, AIWorkloadConfig. Workloads
are records; the jobs wait for their engine, their Create answers 501. States: none. Tables: none of its own.
Events sent: AIWorkloadConfig created and deleted. Heard: none.
Guide: "Amazon SageMaker Inference Recommender" (https://docs.aws.amazon.com/sagemaker/latest/dg/inference-recommender.html).
"""
