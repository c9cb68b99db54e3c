"""A Lambda function that returns its event."""


def handler(event, context):
    return event
