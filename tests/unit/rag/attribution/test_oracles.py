"""Against the numbers of the reference code, where they lie beside this clone."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.attribution import load_attributor
from rag.attribution.adjoint import Adjoint
from rag.attribution.decompx import READOUTS, DecompX
from rag.attribution.encoder import FrozenEncoder
from rag.embedding.registry import bundled_model
from rag.errors import UsageError

TEXTS = ("short_sentence", "pair_qa_battery", "german_sentence")
LONG = "threat_report_iocs"
TOLERANCE = {"float32": 1e-5, "float64": 1e-9}  # of an array's greatest entry


@cache
def encoder(dtype: str) -> FrozenEncoder:
    return FrozenEncoder(bundled_model(), dtype=dtype)


@pytest.fixture(scope="session")
def oracles(shared: Path) -> dict[str, dict[str, Any]]:
    file = shared / "oracles" / "attribution.json"
    return {each["id"]: each for each in json.loads(file.read_text(encoding="utf-8"))["items"]}


def assert_agrees(item: dict[str, Any], key: str, method: str, dtype: str, **options: str) -> None:
    attributor = load_attributor(method, encoder(dtype), **options)
    (found,) = attributor.scores(
        [item["text"]],
        query=item["query"] if key.endswith("_query") else None,
        pairs=[item["text_pair"]] if item["text_pair"] else None,
    )
    wanted = np.array(item["scores"][key])
    assert list(found.tokens) == item["tokens"]
    assert found.offsets.tolist() == item["offsets"]
    assert np.abs(found.scores - wanted).max() <= TOLERANCE[dtype] * np.abs(wanted).max()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("readout", ["cls_row", "mean_rows"])
@pytest.mark.parametrize("text", [*TEXTS, LONG])
def test_globenc(oracles: dict[str, Any], text: str, readout: str, dtype: str) -> None:
    assert_agrees(oracles[text], f"globenc_{readout}", "globenc", dtype, readout=readout)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("readout", ["meanpool_dot_query", "meanpool_dot_self", "cls_dot_query"])
@pytest.mark.parametrize("text", [*TEXTS, LONG])
def test_adjoint(oracles: dict[str, Any], text: str, readout: str, dtype: str) -> None:
    key = f"decompx_biastoken_{readout}"
    assert_agrees(oracles[text], key, "adjoint", dtype, readout=readout)


@pytest.mark.parametrize("readout", READOUTS[:6])
@pytest.mark.parametrize("bias", ["absdot", "biastoken", "none"])
def test_decompx_on_a_short_text(oracles: dict[str, Any], bias: str, readout: str) -> None:
    key = f"decompx_{'nobias' if bias == 'none' else bias}_{readout}"
    for dtype in TOLERANCE:
        item = oracles["short_sentence"]
        assert_agrees(item, key, "decompx", dtype, bias=bias, readout=readout)


@pytest.fixture(scope="session")
def with_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled encoder's folder with the head that the oracles were made with."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("head") / "model"
    shutil.copytree(bundled_model(), folder)
    weights = load_file(folder / "model.safetensors")
    steps = torch.arange(1, 385, dtype=torch.float64)
    rows = [torch.sin(0.1 * label * steps) / 384**0.5 for label in (1, 2)]
    head = {
        "classifier.weight": torch.stack(rows),
        "classifier.bias": torch.tensor([0.05, -0.05], dtype=torch.float64),
    }
    save_file(weights | head, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("readout", ["pooler_norm", "classifier_label0", "classifier_label1"])
def test_decompx_with_a_classification_head(
    oracles: dict[str, Any], with_head: Path, readout: str, dtype: str
) -> None:
    item = oracles["short_sentence"]
    attributor = DecompX(FrozenEncoder(with_head, dtype=dtype), "absdot", readout)  # type: ignore[arg-type]
    (found,) = attributor.scores([item["text"]])
    wanted = np.array(item["scores"][f"decompx_frugal_{readout}"])
    assert np.abs(found.scores - wanted).max() <= TOLERANCE[dtype] * np.abs(wanted).max()
    if readout == "classifier_label0":
        assert_scaled(found.scores, item["scores"]["decompx_frugal_label0_minmax"], dtype)


def test_a_label_of_an_encoder_without_a_head_is_refused() -> None:
    with pytest.raises(UsageError, match="no classification head"):
        DecompX(encoder("float32"), "absdot", "classifier_label0").scores(["text"])


def assert_scaled(scores: np.ndarray, wanted: list[float], dtype: str) -> None:
    """As the notebooks scale scores: least 0, greatest 1."""
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    assert np.abs(scaled - wanted).max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("text", [*TEXTS, LONG])
def test_globenc_as_frugal_prompt_scales_it(oracles: dict[str, Any], text: str) -> None:
    item = oracles[text]
    pairs = [item["text_pair"]] if item["text_pair"] else None
    (found,) = load_attributor("globenc", encoder("float64")).scores([item["text"]], pairs=pairs)
    assert_scaled(found.scores, item["scores"]["globenc_frugal_minmax"], "float64")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["german_sentence", "pair_qa_battery"])
@pytest.mark.parametrize("bias", ["absdot", "biastoken", "none"])
def test_decompx(oracles: dict[str, Any], bias: str, text: str) -> None:
    key = f"decompx_{'nobias' if bias == 'none' else bias}_meanpool_dot_query"
    options = {"bias": bias, "readout": "meanpool_dot_query"}
    assert_agrees(oracles[text], key, "decompx", "float32", **options)


@pytest.mark.slow
def test_decompx_as_published_on_a_long_text(oracles: dict[str, Any]) -> None:
    key = "decompx_absdot_meanpool_norm"
    options = {"bias": "absdot", "readout": "meanpool_norm"}
    assert_agrees(oracles[LONG], key, "decompx", "float32", **options)


def test_the_adjoint_method_is_what_a_query_gets_by_default() -> None:
    assert Adjoint(encoder("float32")).readout("a query") == "meanpool_dot_query"
