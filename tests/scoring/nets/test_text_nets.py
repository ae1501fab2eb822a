import pytest
import torch

from scoring.data.texts import TextShape
from scoring.errors import UserError
from scoring.nets import build, private_form, text_net_names
from scoring.run_spec import NetSpec
from scoring.tokens import IDS

SHAPE = TextShape(tokens=12)


def tokens(*texts):
    decoded = [SHAPE.decode(text.encode()) for text in texts]
    return torch.stack([torch.from_numpy(row) for row in decoded]).long()


@pytest.fixture(params=text_net_names())
def net(request):
    torch.manual_seed(0)
    return build(NetSpec(name=request.param), shape=SHAPE.dims, classes=3).eval()


@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("name", text_net_names())
def test_every_text_net_gives_one_logit_per_class(name, width):
    net = build(NetSpec(name=name, width=width), shape=SHAPE.dims, classes=7)
    assert net(torch.randint(IDS, (3, 12))).shape == (3, 7)
    assert net.training


def test_padding_changes_nothing(net):
    short = net(tokens("a fine film"))
    longer = torch.nn.functional.pad(tokens("a fine film"), (0, 8))
    torch.testing.assert_close(net(longer), short, rtol=1e-5, atol=1e-6)


def test_logits_do_not_depend_on_the_rest_of_the_batch(net):
    alone = net(tokens("a fine film"))
    among = net(tokens("dull", "a fine film", "it goes on and on and on"))[1:2]
    torch.testing.assert_close(among, alone, rtol=1e-5, atol=1e-6)


def test_padding_alone_gives_finite_logits(net):
    assert net(torch.zeros(2, 12, dtype=torch.int64)).isfinite().all()


def test_word_order_matters_to_the_lstm_but_not_to_the_bag():
    torch.manual_seed(0)
    there, back = tokens("man bites dog"), tokens("dog bites man")
    bag = build(NetSpec(name="bag_of_embeddings"), shape=SHAPE.dims, classes=2).eval()
    torch.testing.assert_close(bag(there), bag(back))
    lstm = build(NetSpec(name="lstm"), shape=SHAPE.dims, classes=2).eval()
    assert (lstm(there) - lstm(back)).abs().max() > 1e-4


def test_texts_and_images_need_nets_of_their_kind():
    with pytest.raises(UserError, match=r"--net: expected a net that reads texts.*got small_cnn"):
        build(NetSpec(name="small_cnn"), shape=SHAPE.dims, classes=2)
    with pytest.raises(UserError, match="--net: expected a net that takes images, got lstm"):
        build(NetSpec(name="lstm"), shape=(8, 8, 1), classes=2)


def test_recurrent_nets_cannot_be_trained_privately():
    assert private_form(NetSpec(name="lstm"), SHAPE.dims, 2) == "none"
    assert private_form(NetSpec(name="bag_of_embeddings"), SHAPE.dims, 2) == "same"
