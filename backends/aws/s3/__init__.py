"""S3 on disk: buckets, objects, listings, multipart uploads, tags.

The bytes and their index are `backends.core.objects`, which jobs use without HTTP; here are the operations that AWS
calls s3, one module per concern. Bucket names are global, with an owner and a region; other regions reach a bucket,
other accounts are denied, as they are on AWS while no policy lets them in.

Tables: s3_buckets, s3_objects, s3_uploads, s3_parts, s3_garbage. Events: none yet. Loop: `sweep.remove_garbage`.
What is not built yet answers 501 and stands in `api_specs/coverage.toml`.
"""
