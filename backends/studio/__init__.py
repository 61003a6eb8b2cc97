"""Studio: domains with their user profiles and spaces, images with versions, configurations; applications are to come.

AWS calls it: Domain (`d-` and 12 letters or digits), UserProfile, Space, App, Image, ImageVersion (numbered, found by alias
too), AppImageConfig, StudioLifecycleConfig. States: what can be made is a record, InService or CREATED at once; applications
wait for their engine, their Create answers 501. A domain with profiles or spaces refuses its deletion, so does a profile
that owns a space, and a lifecycle configuration that settings name; an image takes its versions with it.
Tables: none of its own. Events sent: each created, deleted. Heard: Image and ImageVersion created, of which EventBridge is told.
Guide: "Amazon SageMaker AI domain overview" (https://docs.aws.amazon.com/sagemaker/latest/dg/gs-studio-onboard.html).
"""
