"""S3, as far as SageMaker's clients go."""
