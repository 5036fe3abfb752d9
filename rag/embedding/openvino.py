"""OpenVINO under a sentence-transformers model: the best rate on a CPU (the `openvino` extra)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from rag.errors import ExtraMissing, ModelError, first_line

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

__all__ = ["accelerate"]


def accelerate(model: SentenceTransformer) -> None:
    """Replace the model's encoder by the same network compiled for this processor, in place.

    The network is converted in memory: nothing is exported, nothing is fetched.

    Raises:
        ExtraMissing: OpenVINO is not installed.
        ModelError: the network cannot be converted.
    """
    try:
        import openvino
    except ImportError:
        raise ExtraMissing("openvino", "openvino") from None
    import torch

    transformer: Any = model[0]
    try:
        compiled = _compile(openvino, transformer.model)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(
            f"OpenVINO cannot convert this model: {first_line(error)}",
            hint="set embedding.backend = torch",
        ) from error

    class Encoder(torch.nn.Module):
        """Looks like the encoder it replaces, to the pooling after it."""

        config = transformer.model.config
        dtype = torch.float32
        device = torch.device("cpu")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> Any:
            from transformers.modeling_outputs import BaseModelOutput

            outputs = compiled({"input_ids": input_ids, "attention_mask": attention_mask})
            return BaseModelOutput(last_hidden_state=torch.from_numpy(outputs[0]))

    transformer.model = Encoder()


def _compile(openvino: Any, encoder: torch.nn.Module) -> Any:
    import torch

    class Hidden(torch.nn.Module):
        """The encoder with two inputs and one output: what a trace can follow."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            return output.last_hidden_state

    example = {
        "input_ids": torch.ones((2, 8), dtype=torch.long),
        "attention_mask": torch.ones((2, 8), dtype=torch.long),
    }
    example["attention_mask"][1, 5:] = 0  # a trace must not fold a full mask away
    with warnings.catch_warnings():
        # It traces with torch.jit, which torch and transformers call deprecated.
        warnings.simplefilter("ignore")
        network = openvino.convert_model(Hidden().eval(), example_input=example)
    for port, name in zip(network.inputs, example, strict=True):
        port.get_tensor().set_names({name})
    return openvino.compile_model(network, "CPU")
