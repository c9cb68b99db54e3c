BODY = '{"works": true}'
