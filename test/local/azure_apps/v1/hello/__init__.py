import azure.functions as func
import shared_code.words
from shared_code import words

from . import example


def main(req: func.HttpRequest) -> str:
    return f"{example.WORD} {words.WORD} {shared_code.words is words}"
