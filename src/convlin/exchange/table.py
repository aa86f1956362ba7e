"""x"""
def choose(geometry, input_size, exchange, memory_limit, itemsize):
    return exchange or "windows"
