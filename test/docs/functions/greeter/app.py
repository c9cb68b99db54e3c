"""The Lambda function that the docstrings' examples deploy."""


def handler(event, context):
    return {"greeting": f"Hello, {event['name']}!"}
