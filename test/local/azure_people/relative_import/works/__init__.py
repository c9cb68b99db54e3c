from .helper import ANSWER


def main(req):
    return ANSWER
