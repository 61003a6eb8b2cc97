"""The model registry: groups of model packages, their versions, and what has been decided about each.

AWS calls it: ModelPackageGroup with its resource policy, and ModelPackage: versioned (`model-package/<group>/<number>`, numbers
never come again) or unversioned (`model-package/<name>`). States: both are born Completed, since nothing is validated until
batch transform runs (a ValidationSpecification answers 501); ModelApprovalStatus is no state: every move is allowed.
Tables: none of its own. Events sent: ModelPackage, Created and Deleted as its status says, and each new approval status
(`Approved`) as such; EventBridge hears `SageMaker Model Package State Change`. Heard: none.
Guide: "Model Registration Deployment with Model Registry"
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html).
"""
