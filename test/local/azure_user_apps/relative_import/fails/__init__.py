from ..helpers.missing import BODY


def main(req):
    return BODY
