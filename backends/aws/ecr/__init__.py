"""ECR: repositories, images and their layers, behind AWS's API and behind the registry that Docker speaks to (`/v2/`).

AWS calls it: Amazon Elastic Container Registry. Tables: ecr_images, ecr_tags, ecr_contents, ecr_layers, ecr_uploads;
repositories are documents in `resources`; layers lie as files in `registry/` of the data directory. Events sent and heard:
none. Guide: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ and docs/images.md

    scope.py         whose repository is meant, its URI, and the errors of what is not there
    repositories.py  repositories; configuration.py: their policies and tags; lifecycle.py: what expires, and the loop
    manifests.py     what a manifest refers to; images.py: images by digest and tag; image_operations.py: AWS's API of them
    layers.py        layers and uploads on disk; layer_operations.py: AWS's API of them; sweep.py: what nothing names goes
    tokens.py        the passwords of `docker login`

What speaks HTTP with Docker is `server/registry/`; both call the same functions.
"""
