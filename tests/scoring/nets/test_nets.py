import pytest
import torch
from torch import nn

from scoring.allowed_nets import allow_nets
from scoring.errors import UnknownName, UserError
from scoring.nets import (
    build,
    check_net,
    net_names,
    net_source,
    private_form,
    text_net_names,
)
from scoring.run_spec import NetSpec

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 64, 3)]
CIFAR = (32, 32, 3)


def tiny_factory(shape, classes):
    height, width, depth = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(height * width * depth, classes))


def wrong_factory(shape, classes):
    return nn.Linear(3, classes)


def string_factory(shape, classes):
    return "a net"


def failing_factory(shape, classes):
    raise KeyError("no such layer")


def images(shape, rows=3):
    height, width, depth = shape
    return torch.rand(rows, depth, height, width, generator=torch.Generator().manual_seed(0))


def parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("name", sorted({*net_names()} - {*text_net_names()}))
def test_every_net_gives_one_logit_per_class(name, width, shape):
    net = build(NetSpec(name=name, width=width), shape=shape, classes=7)
    assert net(images(shape)).shape == (3, 7)
    assert net.training


def test_parameter_counts_are_the_published_ones():
    # 832 + 51,264 (convolutions), 803,072 + 2,570 (layers).
    assert parameters(build(NetSpec(name="paper_cnn"), shape=(28, 28, 1), classes=10)) == 857_738
    # 156 + 2,416 (convolutions), 48,120 + 10,164 + 850 (layers).
    assert parameters(build(NetSpec(name="lenet5"), shape=(28, 28, 1), classes=10)) == 61_706
    # ResNet20v2 of the Keras example: 570,602 trained, 3,488 running means and variances.
    resnet = build(NetSpec(name="resnetv2"), shape=CIFAR, classes=10).net
    assert parameters(resnet) == 570_602
    assert sum(b.numel() for b in resnet.buffers() if b.ndim) == 3_488


def test_width_scales_channels():
    half = build(NetSpec(name="paper_cnn", width=0.5), shape=(28, 28, 1), classes=10).net
    assert [m.out_channels for m in half if isinstance(m, nn.Conv2d)] == [16, 32]
    assert [m.out_features for m in half if isinstance(m, nn.Linear)] == [128, 10]


def test_a_whitening_makes_neighbouring_pixels_uncorrelated():
    net = build(NetSpec(name="whitened_cnn"), shape=CIFAR, classes=10)
    smooth = nn.functional.avg_pool2d(images((96, 96, 3), rows=40), 3)
    net.fit_to(smooth)
    whitening = net.net.whitening
    assert whitening.outputs == 24
    directions = nn.functional.conv2d(net.preprocessing(smooth), whitening.weight)[:, :12]
    flat = directions.permute(1, 0, 2, 3).reshape(12, -1)
    torch.testing.assert_close(flat @ flat.T / flat.shape[1], torch.eye(12), atol=0.05, rtol=0)
    torch.testing.assert_close(whitening.weight[12:], -whitening.weight[:12])


def test_a_whitening_is_no_weight_that_is_trained_but_is_kept_in_checkpoints():
    net = build(NetSpec(name="whitened_cnn"), shape=CIFAR, classes=10).net
    # 24 x 32 + 32 x 32 + 32 x 64 + 64 x 64 + 64 x 128 + 128 x 128 kernels of 3x3, four values of
    # norms for each pair of layers' channels, 1,290 of the head.
    assert parameters(net) == 9 * 32_512 + 4 * (32 + 64 + 128) + 1_290
    assert "whitening.weight" in net.state_dict()


def test_pixels_are_normalised_and_outputs_reordered():
    plain = build(NetSpec(name="mlp", mean=(0.0,), std=(1.0,)), shape=(8, 8, 3), classes=3)
    spec = NetSpec(name="mlp", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), class_order=(2, 0, 1))
    fitted = build(spec, shape=(8, 8, 3), classes=3)
    fitted.net.load_state_dict(plain.net.state_dict())
    x = images((8, 8, 3))
    by_hand = torch.stack([(x[:, d] - spec.mean[d]) / spec.std[d] for d in range(3)], dim=1)
    torch.testing.assert_close(fitted(x), plain(by_hand)[:, [2, 0, 1]])


def test_checkpoints_hold_only_the_inner_net():
    net = build(NetSpec(name="mlp"), shape=(8, 8, 1), classes=10)
    assert set(net.state_dict()) == {f"net.{name}" for name in net.net.state_dict()}


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
@pytest.mark.parametrize("name", ["resnet18", "googlenet"])  # the second has auxiliary heads
@pytest.mark.parametrize("depth", [1, 3])
def test_torchvision_classifiers_are_built_by_name(name, depth):
    net = build(NetSpec(name=name), shape=(32, 32, depth), classes=5)
    assert net(images((32, 32, depth))).shape == (3, 5)


def test_grey_images_are_repeated_for_torchvision():
    net = build(NetSpec(name="resnet18"), shape=(32, 32, 1), classes=5).eval()
    grey = images((32, 32, 1))
    normalised = (grey.expand(-1, 3, -1, -1) - 0.5) / 0.25
    with torch.no_grad():
        torch.testing.assert_close(net(grey), net.net(normalised))


def test_a_factory_is_called_by_name():
    name = f"{__name__}:tiny_factory"
    allow_nets([name])
    assert build(NetSpec(name=name), shape=(8, 8, 1), classes=4)(images((8, 8, 1))).shape == (3, 4)


def test_net_source_changes_with_the_factory_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "users_own_net.py"
    module.write_text("make = None\n")
    allow_nets(["users_own_net:make"])
    first = net_source("users_own_net:make")
    module.write_text("make = 1\n")
    assert first
    assert net_source("users_own_net:make") != first
    assert net_source("paper_cnn") == net_source("resnet18") == ""


@pytest.mark.parametrize("shape", [(28, 28, 1), CIFAR], ids=str)
def test_group_norm_replaces_every_batch_norm(shape):
    spec = NetSpec(name="resnetv2", group_norm=True)
    net = build(spec, shape=shape, classes=10)
    kinds = {type(part) for part in net.modules()}
    assert nn.BatchNorm2d not in kinds
    assert nn.GroupNorm in kinds
    assert private_form(spec, shape, 10) == "group_norm"  # of the net before replacement
    # No example's logits depend on the others of its batch.
    x = images(shape, rows=4)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-5)


def test_private_form_leaves_random_numbers_alone():
    before = torch.get_rng_state()
    assert private_form(NetSpec(name="small_cnn"), (28, 28, 1), 10) == "same"
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match=r"--net: expected one of .*paper_cnn.*got 'papercnn'"):
        check_net("papercnn")
    check_net("resnet18")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:make", "expected an importable package.module:factory"),
        ("math:no_such_attribute", "expected an importable package.module:factory"),
        ("math:pi", "expected 'math:pi' to be callable, got float"),
    ],
)
def test_factories_that_cannot_be_imported_are_refused(name, message):
    allow_nets([name])
    with pytest.raises(UserError, match=message):
        check_net(name)


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (NetSpec(name="small_cnn"), (3, 8, 1), "at least 4x4 pixels for this net, got 3x8"),
        (NetSpec(name="vgg11"), (8, 8, 3), "--net vgg11: expected a net that maps 8x8x3 images"),
        (NetSpec(name="mlp", mean=(0.1, 0.2)), (8, 8, 3), "expected 1 or 3 values of mean.*got 2"),
        (NetSpec(name=f"{__name__}:wrong_factory"), (8, 8, 1), "expected a net that maps"),
        (NetSpec(name=f"{__name__}:failing_factory"), (8, 8, 1), "got KeyError: 'no such layer'"),
        (
            NetSpec(name=f"{__name__}:string_factory"),
            (8, 8, 1),
            "returns a torch.nn.Module, got str",
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_nets_that_do_not_fit_the_images_are_refused(spec, shape, message):
    allow_nets([spec.name])
    with pytest.raises(UserError, match=message):
        build(spec, shape=shape, classes=10)
