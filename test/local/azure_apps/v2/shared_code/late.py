WORD = "times two"
