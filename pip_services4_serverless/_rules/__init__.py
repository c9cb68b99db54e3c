"""The rules decide what is sent, what is retried, what a response means and which error is raised. They do no I/O."""
