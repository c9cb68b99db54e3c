from ..helpers.missing import ANSWER


def main(req):
    return ANSWER
