"""What clients send."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from rag.settings import Settings

__all__ = [
    "LONGEST",
    "Body",
    "Message",
    "Options",
    "PostChat",
    "PostQuery",
    "PostSearch",
    "Question",
]

LONGEST = 8_000
"""Characters of a question."""


def _no_longer(given: Any) -> Any:
    """Count what is sent, and not what is left of it."""
    if isinstance(given, str) and len(given) > LONGEST:
        raise ValueError(f"more than {LONGEST} characters")
    return given


Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST),
    BeforeValidator(_no_longer),
]
Filters = Annotated[
    list[Annotated[str, StringConstraints(max_length=500)]],
    Field(
        max_length=32,
        fail_fast=True,
        description="Conditions that chunks must meet, e.g. `year>=2021`.",
    ),
]


class Body(BaseModel):
    """The body of a request: what is not known in it is refused.

    The first fault of a body ends it. pydantic would collect them all, and of a megabyte of faults
    make a gigabyte of errors: hence `fail_fast` for lists, and a look of our own at what is
    unknown.
    """

    # Strict: what the OpenAPI document calls a boolean is no "no".
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _all_known(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.keys() <= cls.model_fields.keys():
            raise ValueError("there are fields in it that nobody knows")
        return given


class Options(Body):
    """How one question is answered, where not as the server's settings say."""

    budget: int | None = Field(None, ge=1, le=100_000, description="Tokens of context, at most.")
    target_recall: float | None = Field(
        None, ge=0.01, le=1, description="Keep this share of the expected evidence."
    )
    clustering: Literal["off", "extractive"] | None = None
    selection: Literal["evidence", "everything"] | None = None
    pruning: Literal["off", "auto", "on"] | None = None
    grounding: Literal["off", "extractive", "sift"] | None = None

    def applied(self, settings: Settings) -> Settings:
        """The settings with these in their places."""
        changes: dict[str, dict[str, Any]] = {
            "selection": {
                "budget": self.budget,
                "target_recall": self.target_recall,
                "keep": self.selection,
            },
            "clustering": {"mode": self.clustering},
            "pruning": {"mode": self.pruning},
            "grounding": {"mode": self.grounding},
        }
        groups = {}
        for name, values in changes.items():
            given = {key: value for key, value in values.items() if value is not None}
            groups[name] = getattr(settings, name).model_copy(update=given)
        return settings.model_copy(update=groups)


class PostSearch(Body):
    """A search: no language model is asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"question": "What was the gross margin in 2025?", "top_k": 5}]
        }
    )

    question: Question
    top_k: int | None = Field(None, ge=1, le=100, description="Chunks to find.")
    filters: Filters = []


class PostQuery(PostSearch):
    """A question to answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"question": "What was the gross margin in 2025?"},
                {
                    "question": "What was the gross margin in 2025?",
                    "filters": ["year>=2025"],
                    "options": {"grounding": "extractive"},
                    "stream": True,
                },
            ]
        }
    )

    options: Options = Options()
    stream: bool = Field(False, description="Send events while the answer is made.")
    explain: bool = Field(
        False, description="Tell what each stage kept of every passage; it takes a while longer."
    )


Parts = Annotated[list[dict[str, Any]], Field(max_length=500, fail_fast=True)]


class Message(BaseModel):
    """One turn of a conversation, as the OpenAI API has it; only text is read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Parts | None = None

    @property
    def text(self) -> str:
        """Its text, of all its parts; half a character, as a client may cut one, is replaced."""
        text = self.content or ""
        if isinstance(text, list):
            parts = [part for part in text if part.get("type") == "text"]
            text = "\n".join(str(part.get("text", "")) for part in parts)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class StreamOptions(BaseModel):
    """Of the OpenAI API's, what is known here."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    include_usage: bool | None = False


class PostChat(BaseModel):
    """A conversation, as the OpenAI API has it. Its last user message is the question.

    What else that API knows (temperature, tools and the like) is accepted and not used.
    """

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "spanrag",
                    "messages": [{"role": "user", "content": "What was the gross margin in 2025?"}],
                }
            ]
        },
    )

    messages: list[Message] = Field(min_length=1, max_length=500, fail_fast=True)
    model: Annotated[str, StringConstraints(max_length=200)] | None = "spanrag"
    stream: bool | None = False
    stream_options: StreamOptions | None = None
