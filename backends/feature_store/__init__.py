"""Feature Store: groups of features, online and offline. Groups wait for their stores: Create answers 501.

AWS calls it: FeatureGroup, FeatureMetadata. States: none. Tables: none. Events: none.
Guide: "Create, store, and share features with Feature Store"
(https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store.html).
"""
