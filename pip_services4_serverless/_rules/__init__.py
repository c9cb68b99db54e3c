"""The rules: what is sent, what is retried, what a response means, which error a caller sees. They do no I/O."""
