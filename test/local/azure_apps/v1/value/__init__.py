def main(req):
    return "a value without $return"
