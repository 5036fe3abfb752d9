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
        ModelError: the network cannot be converted, or reads more than tokens and their mask.
    """
    try:
        import openvino
    except ImportError:
        raise ExtraMissing("openvino", "openvino") from None
    import torch
    from sentence_transformers.base.modules import Transformer

    transformer: Any = model[0]
    if type(transformer) is not Transformer:
        raise ModelError(
            f"OpenVINO cannot run a {type(transformer).__name__}: it is no plain encoder",
            hint="set embedding.backend = torch",
        )
    layers = bool(getattr(transformer.model.config, "output_hidden_states", False))
    try:
        compiled = _compile(openvino, transformer.model, layers)
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
            states = tuple(torch.from_numpy(outputs[at]) for at in range(len(outputs)))
            return BaseModelOutput(
                last_hidden_state=states[-1], hidden_states=states if layers else None
            )

    transformer.model = Encoder()


def _compile(openvino: Any, encoder: torch.nn.Module, layers: bool) -> Any:
    """The encoder for this processor; with `layers`, all of them are its outputs, the last last."""
    import torch

    class Hidden(torch.nn.Module):
        """The encoder with two inputs and plain outputs: what a trace can follow."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            return tuple(output.hidden_states) if layers else output.last_hidden_state

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
