"""What makes each method of the literature that method."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch

import boneage_roi as br
from boneage_roi.configs.finders import FINDERS
from boneage_roi.configs.schema import RegionConfig, RoundConfig, TrainConfig
from boneage_roi.detection.contour import Contour
from boneage_roi.detection.template import Template
from boneage_roi.errors import InputError
from boneage_roi.explain import METHODS
from boneage_roi.imaging.steps import STEPS, apply_steps
from boneage_roi.learning.backbones import fill_from_file, google_network
from boneage_roi.learning.losses import class_weights, nearest_class, weighted_mean
from boneage_roi.regional_models.crops import Crops
from boneage_roi.regional_models.dataset import RegionSample, repeat_rare
from boneage_roi.regional_models.networks import build_network
from boneage_roi.regional_models.networks.bonet import BoNet, Deformation
from boneage_roi.regional_models.networks.heads import AgeRegression
from boneage_roi.regional_models.networks.plain import PlainCNN
from boneage_roi.regional_models.networks.tj_net import TJNet
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regional_models.train import HandWeights, RegionTraining, export_region
from boneage_roi.runs import plan
from boneage_roi.values import AgeGrid, Analysis, BoneAge, HandFrame, HandMask
from tests.bundles import EXAMPLES, needs_bundle

QUARTERS = AgeGrid(77, 3.0)
BATCH = (torch.rand(3, 1, 1, 64, 64), torch.ones(3, 1), torch.zeros(3, 1, 4), torch.tensor([0.0, 1, 0]))


def tj_net(**settings: Any) -> TJNet:
    network = build_network(RegionConfig(size=(64, 64), network="tj-net", sex_loss_weight=1, **settings), QUARTERS)
    assert isinstance(network, TJNet)
    return network


def count(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_tj_net_has_the_papers_units_and_77_classes_of_three_months() -> None:
    settings = TrainConfig.load("tj-net")
    assert settings.grid == QUARTERS
    assert settings.grid.last == 228
    hand = settings.regions["hand"]
    assert (hand.size, hand.batch, hand.optimizer, hand.rounds[0].learning_rate) == ((500, 500), 16, "adam", 1e-3)
    network = build_network(hand, settings.grid)
    assert isinstance(network, TJNet)
    assert network.sex_units.dense is not None
    assert network.sex_units.dense.out_features == 64
    assert [layer.out_features for layer in network.hidden] == [512, 256]
    assert network.age.out_features == 77
    assert network.sex_head is not None
    assert network.sex_head[0].out_features == 256
    kernels = {each.kernel_size for each in network.modules() if isinstance(each, torch.nn.Conv2d)}
    assert kernels >= {(1, 1), (3, 3), (1, 3), (3, 1), (5, 5), (1, 7), (7, 1)}
    assert sum(type(each).__name__ == "CBAM" for each in network.modules()) == 3


def test_each_ablation_of_tj_net_takes_its_part_out() -> None:
    whole = count(tj_net())
    for changes in ({"options": {"shortcuts": False}}, {"attention": False}):
        assert count(tj_net(**changes)) < whole
    alone = build_network(RegionConfig(size=(64, 64), network="tj-net"), QUARTERS)
    assert alone.outputs(*BATCH).sex is None
    assert tj_net().outputs(*BATCH).sex is not None


def test_tj_nets_activation_is_the_gradient_of_the_most_probable_class() -> None:
    torch.manual_seed(0)
    network = tj_net(options={"width": 8}).eval()
    joined, maps = network.scan(BATCH[0], BATCH[1])
    maps = maps.detach().requires_grad_()
    joined = torch.cat([joined[:, : -maps.shape[1]].detach(), maps.mean((2, 3))], dim=1)
    logits, _ = network.heads(joined, BATCH[3])
    best = logits.max(-1).values.sum()
    (gradient,) = torch.autograd.grad(best, maps)
    places = maps.shape[2] * maps.shape[3]
    expected = (maps * gradient.mean((2, 3), keepdim=True) * places).sum(1).relu()
    shown = network(*BATCH)[2][:, 0]
    assert shown.max() > 0
    assert torch.allclose(shown, expected, atol=1e-5)


def test_frozen_blocks_do_not_move_and_the_others_do() -> None:
    config = RegionConfig(size=(64, 64), network="tj-net", loss="cross-entropy", optimizer="adam", schedule="constant")
    network = build_network(config, QUARTERS)
    module = RegionTraining(network, config, RoundConfig(epochs=1, frozen_stages=3), QUARTERS)
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    module.on_train_epoch_start()
    optimizer = module.configure_optimizers()["optimizer"]
    assert type(optimizer).__name__ == "Adam"
    module.training_step((*BATCH, torch.tensor([30.0, 90, 150])), 0).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert not [name for name in moved if name.startswith(("blocks.0.", "blocks.1.", "blocks.2."))]
    assert any(name.startswith("blocks.3.") for name in moved)


def test_rare_classes_weigh_more_and_all_classes_alike() -> None:
    samples = [
        RegionSample(Crops(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4), np.float32), 1.0), age, male)
        for age, male in [(30.0, 1.0)] * 6 + [(90.0, 0.0)] * 2
    ]
    weights = HandWeights(samples, QUARTERS)
    ages = torch.tensor([30.0, 90.0])
    assert weights.of_ages(ages).tolist() == pytest.approx([8 / 12, 8 / 4])
    assert weights.of_sexes(torch.tensor([1.0, 0.0])).tolist() == pytest.approx([8 / 12, 8 / 4])
    losses = torch.tensor([1.0, 3.0])
    assert float(weighted_mean(losses, None)) == 2
    assert float(weighted_mean(losses, weights.of_ages(ages))) == pytest.approx(2.5)
    assert class_weights(nearest_class(ages, QUARTERS), 77).sum() == 2


def test_hands_of_rare_ages_are_shown_more_often() -> None:
    crops = Crops(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4), np.float32), 1.0)
    samples = [RegionSample(crops, age, 1.0) for age in [12.0] * 1 + [60.0] * 4 + [120.0] * 16]
    ages = [sample.boneage for sample in repeat_rare(samples, 1.0)]
    assert (ages.count(12.0), ages.count(60.0), ages.count(120.0)) == (4, 4, 16)
    assert repeat_rare(samples, 0.0) == samples


def test_the_deformation_starts_as_none_and_learns_to_undo_a_shift() -> None:
    torch.manual_seed(0)
    layer = Deformation(1)
    blob = torch.zeros(1, 1, 16, 16)
    blob[..., 4:9, 6:11] = 1
    assert torch.allclose(layer(blob), blob, atol=0.1)
    wanted = torch.roll(blob, (3, 2), (2, 3))
    optimizer = torch.optim.Adam(layer.parameters(), 0.003)
    smooth = torch.nn.AvgPool2d(5, 1, 2)
    first = 0.0
    for _ in range(150):
        loss = ((smooth(layer(blob)) - smooth(wanted)) ** 2).mean()
        first = first or float(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2 * first


def test_bonets_age_map_is_the_regressors_answer_at_each_place() -> None:
    settings = RegionConfig(size=(64, 64), network="bonet", sex=False, options={"width": 8, "hidden": 16})
    network = build_network(settings).eval()
    assert isinstance(network, BoNet)
    with torch.no_grad():
        maps = network.maps(BATCH[0])
        ages = network.place_ages(maps, BATCH[0], BATCH[3])
        alone = network.age.age(network.hidden(maps[1, :, 2, 3]))
    assert ages.shape == (3, 1, *maps.shape[2:])
    assert float(ages[1, 0, 2, 3]) == pytest.approx(float(alone), abs=1e-3)


def test_one_number_is_the_mean_of_its_distribution() -> None:
    network = build_network(RegionConfig(size=(64, 64), network="plain")).eval()
    with torch.no_grad():
        distribution, features = network(*BATCH)
        assert isinstance(network, PlainCNN)
        assert isinstance(network.age, AgeRegression)
        number = network.age.age(features)[:, 0]
    assert torch.allclose(distribution @ torch.arange(240.0), number, atol=0.5)


def test_two_heads_are_averaged_and_each_has_its_own_loss() -> None:
    settings = {"size": (64, 64), "network": "two-heads"}
    small: dict[str, Any] = {"blocks": 3, "width": 4, "hidden": 16}
    both = build_network(RegionConfig.model_validate(settings | {"options": small})).eval()
    outputs = both.outputs(*BATCH)
    assert [name for name, _ in outputs.others] == ["cross-entropy"]
    mean = (outputs.logits.softmax(-1) + outputs.others[0][1].softmax(-1)) / 2
    assert torch.allclose(both(*BATCH)[0], mean, atol=1e-6)
    one = build_network(RegionConfig.model_validate(settings | {"options": small | {"heads": "regression"}}))
    assert list(one.outputs(*BATCH).others) == []


def test_an_ensemble_is_the_mean_of_members_that_do_not_heed_each_other() -> None:
    options: dict[str, bool | int | float | str] = {"of": "plain", "width": 4, "hidden": 8}
    network = build_network(RegionConfig(size=(64, 64), network="ensemble", options=options)).eval()
    outputs = network.outputs(*BATCH)
    assert len(outputs.others) == 2
    said = [outputs.logits, *(logits for _, logits in outputs.others)]
    assert not torch.allclose(said[0], said[1])
    assert torch.allclose(network(*BATCH)[0], torch.stack([one.softmax(-1) for one in said]).mean(0), atol=1e-6)
    with pytest.raises(InputError, match="of is 'nonesuch'; known are region-net"):
        build_network(RegionConfig(size=(64, 64), network="ensemble", options={"of": "nonesuch"}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 3}, "has no option 'depth'; known are features, dropout, output"),
        ({"output": "ages"}, "output is 'ages'; known are classes, regression"),
        ({"features": "many"}, "the option features is 'many'; a number is needed"),
        ({"features": -1}, "the option features is -1; 0 or more is needed"),
    ],
)
def test_a_wrong_option_says_what_there_is(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_network(RegionConfig(size=(64, 64), network="dense", weights="none", options=options))


def test_rb_fcl_hands_on_1024_features_a_region_and_frozen_features_the_backbones() -> None:
    for settings in TrainConfig.load("rb-fcl", "small").regions.values():
        assert settings.options["features"] == 1024
    frozen = TrainConfig.load("frozen-features").regions["hand"]
    assert frozen.rounds[0].frozen_stages > 50
    network = build_network(frozen.model_copy(update={"weights": "none", "backbone": "timm/resnet10t"}))
    assert network.features_length == 512


def test_googlenet_is_grey_and_takes_a_file_of_weights(tmp_path: Path) -> None:
    network = google_network("none").eval()
    assert 5.5e6 < count(network) < 5.7e6  # 5.6 million without its classifier
    with torch.no_grad():
        assert network(torch.rand(2, 1, 64, 64)).shape == (2, 1024)
    torch.save({"conv1.conv.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="not weights of this network"):
        fill_from_file(network, tmp_path / "weights.pth")


def drawn_hand() -> tuple[HandFrame, HandMask]:
    """A hand with its thumb to the right, in its frame, on black."""
    pixels = np.zeros((512, 416), np.uint8)
    cv2.ellipse(pixels, (200, 290), (75, 85), 0, 0, 360, 170, cv2.FILLED)
    cv2.rectangle(pixels, (155, 340), (245, 490), 170, cv2.FILLED)
    for x, top in ((135, 120), (175, 60), (215, 30), (255, 80)):
        cv2.line(pixels, (x if x < 200 else x - 5, 250), (x, top), 170, 26)
    cv2.line(pixels, (240, 345), (372, 225), 170, 28)
    hand = pixels > 0
    cv2.line(pixels, (215, 30), (215, 340), 230, 8)
    return HandFrame(pixels, np.eye(2, 3)), HandMask(hand, (200.0, 380.0), (212.0, 230.0), 1.0)


@pytest.mark.parametrize("threshold", [True, False])
def test_the_outline_of_a_hand_gives_wrist_carpals_middle_finger_and_thumb(threshold: bool) -> None:
    frame, _ = drawn_hand()
    boxes = Contour(("radius-ulna", "carpal", "phalanx"), threshold=threshold)(frame)
    found = {(box.region, number): box.box for number, box in enumerate(boxes)}
    by_region = {name: [box for (region, _), box in found.items() if region == name] for name, _ in found}
    (carpal,), (wrist,) = by_region["carpal"], by_region["radius-ulna"]
    assert 290 < (carpal[1] + carpal[3]) / 2 < (wrist[1] + wrist[3]) / 2 < 460
    assert 150 < (carpal[0] + carpal[2]) / 2 < 250
    middle, thumb = sorted(by_region["phalanx"])
    assert middle[0] < 215 < middle[2]
    assert middle[1] < 45
    assert thumb[0] < 300 < 340 < thumb[2]
    assert thumb[1] > 150


def test_a_frame_without_a_hand_has_no_boxes() -> None:
    empty = HandFrame(np.zeros((512, 416), np.uint8), np.eye(2, 3))
    for threshold in (True, False):
        assert Contour(("carpal",), threshold=threshold)(empty) == []


def test_registration_takes_the_key_points_to_their_places_and_says_so_in_the_map() -> None:
    frame, mask = drawn_hand()
    done = apply_steps(frame, mask, ["register"])
    thumb = done.to_frame @ [385.0, 220.0, 1.0]
    wrist = done.to_frame @ [200.0, 380.0, 1.0]
    assert wrist == pytest.approx([0.477 * 416, 0.701 * 512], abs=1)
    assert thumb == pytest.approx([0.852 * 416, 0.327 * 512], abs=25)
    moved = np.argwhere(done.pixels > 200).mean(axis=0)
    expected = done.to_frame @ [*np.argwhere(frame.pixels > 200).mean(axis=0)[::-1], 1.0]
    assert moved[::-1] == pytest.approx(expected, abs=4)


def test_registration_leaves_a_hand_whose_points_are_wrong() -> None:
    frame, mask = drawn_hand()
    flat = HandMask(mask.pixels, (200.0, 231.0), (212.0, 230.0), 1.0)
    assert apply_steps(frame, flat, ["register"]) is frame


def test_the_mean_grey_of_the_hand_is_the_same_after_its_step() -> None:
    frame, mask = drawn_hand()
    for factor in (0.5, 1.0):
        darker = HandFrame(np.asarray(frame.pixels * factor, np.uint8), frame.to_frame)
        grey = apply_steps(darker, mask, ["mean-grey"]).pixels[mask.pixels].mean()
        assert grey == pytest.approx(127, abs=2)
    assert set(STEPS) >= {"mask", "register", "mean-grey", "clahe", "equalise", "denoise", "sharpen"}


def test_a_template_gives_the_same_boxes_in_every_frame() -> None:
    frame, _ = drawn_hand()
    first, second = Template(("carpal", "metacarpal"))(frame)
    assert (first.region, second.region) == ("carpal", "metacarpal")
    assert second.box[1] < first.box[1] < second.box[3] < first.box[3]


def test_a_finder_that_cannot_find_a_region_says_which_it_can() -> None:
    from boneage_roi.configs.finders import check_finder

    with pytest.raises(
        InputError, match="the finder contour finds no metacarpal; it finds radius-ulna, carpal, phalanx"
    ):
        check_finder("contour", ["carpal", "metacarpal"])
    assert all(FINDERS[name].finds for name in ("contour", "template", "attention"))


def test_a_record_without_a_setting_that_came_later_still_fits() -> None:
    config = TrainConfig.load("default")
    settings = plan.recipe(config, "regions/carpal").settings
    old = {**settings, "regions": {"carpal": {**settings["regions"]["carpal"]}}}
    for name in ("optimizer", "schedule", "weigh_classes"):
        del old["regions"]["carpal"][name]
    assert plan.completed(old) == settings
    old["regions"]["carpal"]["batch"] = 7
    assert plan.completed(old) != settings


@needs_bundle
def test_attention_and_contour_draw_boxes_where_nobody_annotated() -> None:
    analysis: Analysis = br.load(tta=False).analyse(EXAMPLES / "girl-10y.png")
    masked = apply_steps(analysis.frame, analysis.mask, ["mask"])
    boxes = Contour(("carpal", "radius-ulna", "phalanx"), threshold=False)(masked)
    assert [box.region for box in boxes] == ["carpal", "radius-ulna", "phalanx", "phalanx"]


@needs_bundle
def test_other_weights_give_another_class_activation(tmp_path: Path) -> None:
    analysis: Analysis = br.load(tta=False).analyse(EXAMPLES / "girl-10y.png")
    age = BoneAge(120, 110, 130, "F", (), "toy")
    maps = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        settings = RegionConfig(size=(64, 64), network="tj-net", sex_loss_weight=1, options={"width": 8})
        path = tmp_path / f"{seed}.onnx"
        export_region(build_network(settings, QUARTERS), "hand", settings, path)
        network = RegionReader(path, "hand", size=(64, 64), margin=0.0, grid=QUARTERS)
        reader = cast(br.BoneAgeReader, SimpleNamespace(readers={"hand": network}))
        maps.append(METHODS["class-activation"](reader, analysis, age, "F").maps["hand"])
    assert maps[0].shape == analysis.frame.pixels.shape
    both = ~np.isnan(maps[0]) & ~np.isnan(maps[1])
    assert not np.corrcoef(maps[0][both], maps[1][both])[0, 1] > 0.6


@needs_bundle
def test_a_bundle_without_a_class_activation_says_so() -> None:
    with pytest.raises(InputError, match="gives class activations; explain by occlusion"):
        br.explain(EXAMPLES / "girl-10y.png", "class-activation", sex="F")
