"""ECR and its registry."""
