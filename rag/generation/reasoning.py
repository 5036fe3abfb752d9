"""What a reasoning model thinks before it answers is no part of the answer."""

from __future__ import annotations

__all__ = ["without_reasoning"]

_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
)
_ENDS_ALONE = ("</think>", "</thinking>")  # some templates open the block in the prompt


def without_reasoning(text: str) -> str:
    """A model's reply without the block of thoughts that it begins with.

    A reply that was cut off while the model thought holds no answer. What an answer says of such
    tags later on stays.

    >>> without_reasoning("<think>12 or 13?</think> 12"), without_reasoning("12 or 13?</think>12")
    ('12', '12')
    >>> without_reasoning("<think>12 or"), without_reasoning("The `</think>` tag ends it.")
    ('', 'The `</think>` tag ends it.')
    """
    text = text.strip()
    while opened := next((pair for pair in _TAGS if text.startswith(pair[0])), None):
        _, closed, answer = text.partition(opened[1])
        if not closed:
            return ""
        text = answer.strip()
    for end in _ENDS_ALONE:
        thought, closed, answer = text.partition(end)
        begun = end.replace("/", "")
        if closed and begun not in thought and not thought.endswith("`"):
            return answer.strip()
    return text
