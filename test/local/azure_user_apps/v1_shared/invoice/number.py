import itertools

_numbers = itertools.count(1)


def next_number():
    return next(_numbers)
