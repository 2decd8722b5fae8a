"""Prompts of the weak teacher, of self-instruct and of replay, and their versions.

A version is stored with each pair. Raise it when the words change: replies are cached by the
words themselves, the version is for people. Those of a strong teacher are files (``kinds/``).
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


GENERAL_PROMPTS = (
    "Explain to a child why the sky looks blue.",
    "What should I pack for a weekend in the mountains?",
    "Write a short thank-you note to a neighbour who watered my plants.",
    "List five ways to save water at home.",
    "How does a bicycle stay upright when it moves?",
    "Give me a simple recipe for pancakes.",
    "What is the difference between weather and climate?",
    "Turn this into the past tense: She walks to school and meets a friend.",
    "Name three rivers in Europe and one in Africa.",
    "Write two sentences that advertise a small bookshop.",
    "How many minutes are there in three and a half hours? Show the steps.",
    "What does a doctor mean by blood pressure?",
    "Suggest a polite way to decline an invitation to a party.",
    "Write a Python function that returns the larger of two numbers.",
    "Why do leaves change colour in autumn?",
    "Summarize the story of Little Red Riding Hood in three sentences.",
    "What are the primary colours?",
    "Rewrite this more formally: hey, can you send me that thing today?",
    "Give an example of a renewable source of energy and say how it works.",
    "Is this sentence positive or negative: The food was cold and the service slow.",
    "What can I do when I cannot fall asleep?",
    "Describe the life of a butterfly from egg to adult.",
    "Translate into French: Good morning, how are you?",
    "Write a haiku about rain.",
    "Which is heavier, a kilogram of feathers or a kilogram of iron, and why?",
    "Explain what a mortgage is in plain words.",
    "Give three tips for a job interview.",
    "What happened in the year 1969 that many people watched on television?",
    "Sort these words by the alphabet: pear, apple, plum, fig.",
    "How do I remove a stain of coffee from a shirt?",
    "What is the plural of mouse, child and leaf?",
    "Write the first paragraph of a story that begins in a lighthouse.",
    "Why is it important to wash your hands?",
    "Correct the grammar: Him and me goes to the market yesterday.",
    "What is the boiling point of water, and does it depend on the height?",
    "Make a plan for learning the guitar in three months.",
    "Who are you, and what can you help me with?",
    "Compare cats and dogs as pets in one short paragraph.",
    "Find the odd one out: rose, oak, tulip, daisy.",
    "Explain how to split a bill of 84 euros among four people with a tip of ten per cent.",
)
"""Everyday requests of many kinds, for the base model to answer in its own words (replay).

Written for this project; none is a question of the forgetting check."""
