"""Neo: models compiled, which here means converted to ONNX, with a report on how the predictions compare.

AWS calls it: CompilationJob. States: STARTING -> INPROGRESS -> COMPLETED | FAILED; STOPPING -> STOPPED. Tables: none of its own.
Events sent: CompilationJob at its statuses. Heard: its creation (queued). An artifact is code of whoever made it (pickles, scripts):
the conversion (`containers/compiler`) is a job in a container without network and keys. Targets are CPUs as this machine's;
others, and frameworks that no recipe has, answer 501.
Guide: "Model performance optimization with SageMaker Neo" (https://docs.aws.amazon.com/sagemaker/latest/dg/neo.html).
"""
