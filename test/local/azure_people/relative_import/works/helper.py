ANSWER = '{"works": true}'
