"""The wire: HTTP/1.1 exchanges on connections of our own. Knows nothing of commands, retries, requests or boto3."""
