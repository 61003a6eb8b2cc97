"""What AWS says: botocore's models, the corrections to them, and the checks that follow from them."""
