"""What the training data looked like, what moved since, and what follows from it.

``features``, ``baseline``  texts in numbers; the reference that is stored with a model
``model_signal``            the champion's loss on a sample
``logs``                    logged prompts and responses
``check``                   all tests of new texts: ``two_sample`` (words) and ``shape``
``signals``                 single numbers: shares of rows, mean losses
``evidence``, ``reasons``   what a check found, as data and in sentences
``policy``                  what it leads to
"""
