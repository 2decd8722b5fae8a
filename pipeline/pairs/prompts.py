"""Prompts of the weak teacher and of self-instruct; those of a strong one are in ``kinds/``.

A version is stored with each pair, for people: raise it when the words change.
"""

from collections.abc import Sequence

from pipeline.pairs.teachers.teacher import Messages

ANSWER_FIRST = "answer-first/1"
SELF_INSTRUCT = "self-instruct/1"


def question_of_answer(topic: str, answer: str, beginning: str) -> Messages:
    """Weak teacher: ask for the question to an answer that is given; no examples, it parrots them.

    Title, section and one sentence are all it sees: a whole chunk costs ten times the time, and
    the question strays to other sentences.
    """
    prompt = (
        "Write the question for this entry of an FAQ. The question must not contain the answer."
        f"\n\nTopic: {topic}\nAnswer: {answer}"
    )
    return (("user", prompt), ("assistant", f"Question: {beginning}"))


def new_task(shown: Sequence[tuple[str, str]]) -> Messages:
    """Self-Instruct: continue a list of tasks, each an instruction with its input ('' for none)."""
    listed = "\n".join(
        f"{number}. Task: {_line(instruction)}\nInput: {_line(given) or '<none>'}"
        for number, (instruction, given) in enumerate(shown, start=1)
    )
    prompt = (
        "Come up with a varied series of tasks. Each has an instruction and, where it needs one, "
        "an input; write <none> otherwise."
    )
    return (("user", prompt), ("assistant", f"{listed}\n{len(shown) + 1}. Task:"))


def task_output(instruction: str, given: str) -> Messages:
    """Self-Instruct: carry out a task, exactly as a model trained on the pair will be asked."""
    return (("user", f"{instruction}\n\n{given}" if given else instruction),)


def _line(text: str) -> str:
    return " ".join(text.split())
