"""Jobs that measure or rewrite a model, and the workloads that they measure it with."""

from __future__ import annotations

from backends.core.resource import resource

RECOMMENDATIONS = resource(
    "InferenceRecommendationsJob",
    arn_path="inference-recommendations-job",
    awaits="the inference recommender",
)
OPTIMIZATION = resource(
    "OptimizationJob",
    arn_path="optimization-job",
    awaits="model optimization",
)
BENCHMARK = resource("AIBenchmarkJob", arn_path="ai-benchmark-job", awaits="AI benchmarks")
RECOMMENDATION = resource(
    "AIRecommendationJob",
    arn_path="ai-recommendation-job",
    awaits="AI benchmarks",
)
WORKLOAD = resource(
    "AIWorkloadConfig",
    arn_path="ai-workload-config",
    lower_arn=False,
    derives=("Create", "Describe", "List", "Delete"),
)
