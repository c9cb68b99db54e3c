raise ImportError("there is no driver")
