import subprocess
import sys

import pytest

import protoscore


@pytest.mark.parametrize("name", protoscore.__all__)
def test_every_name_can_be_imported(name):
    assert getattr(protoscore, name) is not None


def test_every_name_that_it_takes_from_scoring_is_public():
    taken = {
        name
        for name, value in vars(protoscore).items()
        if getattr(value, "__module__", "").startswith("scoring")
    }
    assert protoscore.__all__ == sorted(taken | {*protoscore._LAZY, "__version__"})


def test_metrics_are_the_registered_ones():
    assert all(isinstance(spec, protoscore.Metric) for spec in protoscore.metrics().values())
    assert "adv_l2" in protoscore.metrics()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'protoscore' has no attribute 'Sotre'"):
        _ = protoscore.Sotre


def test_a_reader_of_tables_imports_neither_torch_nor_ray():
    reader = """
import sys
import protoscore
try:
    protoscore.Store("./no-store").scores()
except protoscore.UserError as error:
    print(type(error).__name__, {"torch", "ray"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", reader], capture_output=True, text=True)
    assert done.stdout == "BadStore set()\n", done.stderr
