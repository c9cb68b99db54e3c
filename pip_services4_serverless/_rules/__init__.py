"""The rules: what is sent, what may be sent again, what an answer means, which error a caller sees. They do no I/O."""
