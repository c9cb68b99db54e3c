AMOUNTS = {"tea": 3}


def amount_of(item):
    return AMOUNTS.get(item, 0)
