"""Whether a stage's output is right: everything it wrote, compared with the truth of the load it read.

A stage whose output is wrong has no figure. `checks.py` says what each form of output is held to.
"""
