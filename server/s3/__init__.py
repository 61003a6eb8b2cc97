"""What S3 needs of HTTP besides its operations: requests that nobody signed, CORS, uploads by a form."""
