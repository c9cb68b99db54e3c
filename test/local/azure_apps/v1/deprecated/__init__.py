from __app__.shared_code import words

from ..shared_code import words as same


def main(req):
    return f"{words.WORD} {words is same}"
