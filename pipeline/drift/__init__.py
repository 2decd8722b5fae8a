"""What the training data looked like, what moved since, and what follows from it.

``features``                texts in numbers; the reference that is stored with a model
``logs``, ``windows``       logged prompts and responses; what is new, cut into windows
``signals``                 the shelf of single numbers, and how they are tested
``check``                   one check: ``two_sample`` (words), ``shape`` and all signals
``evidence``, ``reasons``   what a check found; why a decision was taken
``policy``, ``ledger``      what it leads to, and the record of it
"""
