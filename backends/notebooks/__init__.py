"""Notebooks: JupyterLab on a machine, the scripts that it starts with, and the repositories that it checks out.

AWS calls it: NotebookInstance, NotebookInstanceLifecycleConfig, CodeRepository. Configurations and repositories are records;
instances wait for their engine, their Create answers 501. States: none. Tables: none of its own.
Events sent: NotebookInstanceLifecycleConfig and CodeRepository created and deleted. Heard: none.
Guide: "Amazon SageMaker notebook instances" (https://docs.aws.amazon.com/sagemaker/latest/dg/nbi.html).
"""
