"""The libraries of models, silenced: no bars, no warnings, no look into the network."""

import logging


def silence_transformers() -> None:
    """Turn off the progress bars and warnings of transformers; errors are still raised.

    bitsandbytes, which transformers and peft import, logs that the optional ``kernels`` is not
    installed: it would fetch a kernel over the network.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
