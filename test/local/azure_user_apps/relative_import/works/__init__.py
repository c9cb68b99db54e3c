from .helper import BODY


def main(req):
    return BODY
