"""Recommender: the workloads that models are measured with."""
