"""What a training program finds and what it leaves, under SageMaker's contract."""
