"""The page over HTTP, on one machine.

| file | idea |
|---|---|
| `hosts.py` | which names a request may call the server by |
| `application.py` | the pages and the answers, on loopback |
"""
