"""S3 on disk: objects and their versions, uploads, listings, and what a bucket is configured to do with them.

The bytes and their index are `backends.core.objects`, which jobs use without HTTP; here are the operations that AWS
calls s3, one module per concern. Bucket names are global, with an owner and a region; other regions reach a bucket,
other accounts and nobody may what its policy says (`access.py`). What browsers send that the model does not know, forms
and preflights, comes through `server/s3/`.

Tables: s3_buckets (with the configuration), s3_objects, s3_uploads, s3_parts, s3_garbage. Events sent: S3Object, where a
bucket has notifications, and AwsCall, for their receivers; heard: S3Object. Loops: `sweep.remove_garbage`,
`lifecycle.expire`. What is not built answers 501 and stands in `api_specs/coverage.toml`.
"""
