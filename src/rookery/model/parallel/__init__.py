"""How is a network in training spread over many processes?

`processes.py` joins them into one device mesh; `placement.py` spreads a network over it;
`sharding.py`, `shared.py`, `pipeline.py`, `context.py`, `vocabulary.py` and `matrices.py` do this
for its parts. The network itself (`network.py`) stays a file for one device. How processes are
started: `launch.py`.
"""
