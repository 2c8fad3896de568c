"""What runs the networks: a name that ONNX Runtime lacks is refused, a provider that does not start falls back."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

import boneage_roi as br
from boneage_roi.errors import InputError
from boneage_roi.onnx_session import Execution, available_providers, open_session
from tests.bundles import EXAMPLES

NETWORK = Path(br.__file__).parent / "bundles/default/detector.onnx"


def test_an_unknown_provider_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"provider 'gpu' is unknown; available are cpu"):
        br.load(provider="gpu")


def test_a_provider_that_this_onnx_runtime_lacks_is_refused() -> None:
    lacking = next(name for name in ("tensorrt", "coreml", "directml") if name not in available_providers())
    with pytest.raises(InputError, match=rf"provider '{lacking}' is not in this ONNX Runtime; available are cpu"):
        br.load(provider=lacking)


@pytest.fixture
def lacking_driver(monkeypatch: pytest.MonkeyPatch) -> str:
    """A provider that was built in, and for which the machine has nothing."""
    real, name = onnxruntime.get_available_providers(), "TensorrtExecutionProvider"
    if name in real:
        pytest.skip("this ONNX Runtime has TensorRT")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name, *real])
    return "tensorrt"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_is_left_out_without_a_word_is_told_once(
    lacking_driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        reader = br.load(provider=lacking_driver, tta=False)
    assert reader.provider == "cpu"
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("provider tensorrt does not start")
    assert "CPU" in line
    plain = br.load(tta=False).predict(EXAMPLES / "girl-10y.png", sex="F")
    assert reader.predict(EXAMPLES / "girl-10y.png", sex="F").months == plain.months


def test_a_provider_that_fails_at_its_start_leaves_the_work_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    real = onnxruntime.get_available_providers()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *real])
    opened = onnxruntime.InferenceSession

    def fails(*arguments: object, providers: list[str], **more: object) -> onnxruntime.InferenceSession:
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA failure 35:\nno driver")
        return opened(*arguments, providers=providers, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with caplog.at_level(logging.WARNING):
        session = open_session(NETWORK, Execution(provider="cuda"))
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert "provider cuda does not start (CUDA failure 35: no driver)" in caplog.text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", [["predict", str(EXAMPLES / "girl-10y.png"), "--json"], ["serve"]])
def test_the_commands_refuse_in_one_line(command: list[str]) -> None:
    if command == ["serve"]:
        pytest.importorskip("fastapi", reason="needs the extra `serve`")
    code = "from boneage_roi.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, *command, "--provider", "gpu"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: provider 'gpu' is unknown; available are ")
    assert ended.stderr.count("\n") == 1


def test_a_prediction_takes_a_provider() -> None:
    code = "from boneage_roi.cli import main; main()"
    options = ["--sex", "F", "--json", "--no-tta", "--provider", "cpu"]
    command = [sys.executable, "-c", code, "predict", str(EXAMPLES / "girl-10y.png"), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 108 < json.loads(ended.stdout)[0]["bone_age_months"] < 132
