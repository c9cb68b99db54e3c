"""HTTP/1.1 exchanges on the package's own connections. The wire does not know commands, retries, requests or boto3."""
