"""CloudWatch Logs on the files that training programs wrote."""
