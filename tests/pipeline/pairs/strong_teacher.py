"""A scripted strong teacher: a server that does for each kind of task what its prompt asks."""

import json
import re

from tests.pipeline.pairs.endpoint_server import chat

DATA = '```json\n{"name": "P1", "weight": 3}\n```'
TEXT = re.compile(r"<<<TEXT\n(.*?)\nTEXT>>>", re.DOTALL)
SUBJECT = re.compile(r"\b(?:pump|valve|filter|lamp|router) [A-Z]{1,2}-?\d+\b", re.IGNORECASE)


def strong(number, body):
    """Answer a request of any kind."""
    prompt = body["messages"][-1]["content"]
    if "That cannot be used:" in prompt:
        return chat('{"name": "P1", "weight": null}')
    texts = TEXT.findall(prompt)
    found = SUBJECT.search(" ".join(texts)) or re.search(r"(?<=Title: )[^\n]+", prompt)
    subject = found.group() if texts and found else ""
    sentences = [part for text in texts for part in re.split(r"(?<=[.])\s+", text) if part]
    asked = prompt.rsplit("Question: ", 1)[1] if "Question: " in prompt else ""
    if "how something is done" in prompt:
        found = [
            f"How do I clean the {subject} after it?",
            f"How is the {subject} put on?",
        ]
        return chat("\n".join(found) if any("1." in text for text in texts) else "NONE")
    if "both texts together" in prompt:
        return chat(f"What is the difference between {subject} and its neighbour in weight?")
    if "asks for a summary" in prompt:
        return chat(f"Sum up in one sentence for a beginner what {subject} is.")
    if "three questions that one user asks" in prompt:
        return chat(f"What does {subject} do now?\nHow heavy is it then?\nWho made it at all?")
    if "does not answer: another model" in prompt:
        return chat(f"What does a spare part for {subject} cost in Norway?")
    if "as JSON" in prompt:
        return chat(
            "The name is P1." if number % 2 else '```json\n{"name": "P1", "weight": 3}\n```'
        )
    if "Which team" in prompt:
        return chat("Mechanics.")
    if "house style" in prompt:
        return chat(f"Hey! Your {subject} needs a hand.")
    if "Rewrite the question" in prompt or "Write a new question" in prompt:
        return chat(f"Under which condition does {subject} run at night, and why?")
    if prompt.startswith("Write"):
        return chat(
            f"What does {subject} need a day?\nHow many minutes does {subject} run at night?"
        )
    if "Norway" in asked or "Who made" in asked:
        return chat("NOT ANSWERABLE")
    if "How do I" in asked or "How is the" in asked:
        return chat(texts[0][texts[0].index("1.") :])
    return chat(sentences[0])


def json_schema():
    """Of the kind extraction."""
    return json.dumps(
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "weight": {"type": ["number", "null"]}},
            "required": ["name", "weight"],
        }
    )
