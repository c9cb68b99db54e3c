import os


def with_vat(net):
    return round(net * (1 + int(os.environ["VAT_PERCENT"]) / 100), 2)
