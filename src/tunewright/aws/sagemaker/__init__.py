"""SageMaker's API: its requests checked, translated and answered."""
