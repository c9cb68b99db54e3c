"""The Google Cloud Function that the docstrings' examples deploy."""


def greeter(request):
    return {"greeting": f"Hello, {request.get_json()['name']}!"}
