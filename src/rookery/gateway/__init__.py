"""The gateway: the web page and the API by which people and programs reach a home.

It serves what other packages make and trains nothing. Start with `serve.py` (listen), `wiring.py`
(what is opened) and `app.py` (the routes put together).
"""
