"""Many processes: all that a model in training knows of them.

`processes.py` joins them into one device mesh; `placement.py` spreads a network over it;
`pipeline.py`, `vocabulary.py`, `context.py` and `matrices.py` are what its parts need. The network
itself (`network.py`) stays a file for one device. How processes are started: `launch.py`.
"""
