"""Recipes: what is shipped loads; what is misspelt is named."""

from pathlib import Path

import pytest

from lvs_runtime.errors import ConfigError
from lvs_train.config import from_mapping, load_recipe

SHIPPED = sorted((Path(__file__).parents[2] / "lvs_train" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_shipped_recipes_load(path):
    assert load_recipe(path).stages


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sede": 1}, "'sede'; did you mean 'seed'"),
        ({"data": {"drawn_wieght": 1}}, "did you mean 'drawn_weight'"),
        ({"stages": [{"name": "a", "steps": 1, "lerning_rate": 1}]}, "did you mean 'learning_rate'"),
        ({"stages": [{"name": "a", "steps": "many"}]}, "Expected `int`, got `str`"),
        ({"stages": [{"name": "a", "steps": 0}]}, "must be positive"),
        ({}, r"no \[\[stages\]\]"),
        ({"precision": "fp8", "stages": []}, "Invalid enum value"),
    ],
)
def test_bad_recipes(values, words):
    with pytest.raises(ConfigError, match=words):
        from_mapping(values)


def test_missing_and_broken_file(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file; shipped recipes: .*default\.toml"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("seed = ")
    with pytest.raises(ConfigError, match="not readable TOML"):
        load_recipe(tmp_path / "broken.toml")
