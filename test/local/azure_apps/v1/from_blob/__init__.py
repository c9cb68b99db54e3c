def main(req, content):
    return content.read().decode()
