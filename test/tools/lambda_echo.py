"""A Lambda function that returns what it was sent."""


def handler(event, context):
    return event
