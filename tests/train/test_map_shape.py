"""Why a map misses, on maps made by hand."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="pip install lvs[train]")
pytest.importorskip("cv2", reason="pip install lvs[train]")

from lvs_runtime.metrics import boxes_to_target
from lvs_train.map_shape import CAUSES, cause, map_shape, perfect_map
from lvs_train.scenes import Scene, Source

SILENCE = np.zeros(8, np.float32)
IMAGE = np.zeros((224, 224, 3), np.uint8)
LEFT, RIGHT = (16, 64, 80, 128), (144, 64, 208, 128)
SCENE = Scene("two", IMAGE, (Source("a", (LEFT,), SILENCE), Source("b", (RIGHT,), SILENCE)), SILENCE)
TINY = Scene("tiny", IMAGE, (Source("a", ((100, 100, 107, 107),), SILENCE),), SILENCE)


def perfect(*boxes):
    return perfect_map(boxes_to_target(boxes, 224, 224.0), 14)


def test_a_perfect_map_is_the_share_of_each_cell_about_the_pixel_it_looks_at():
    cells = perfect((8, 8, 24, 16))
    assert cells[1, 1] == 0.5
    assert cells[0, 1] == 0  # cell 0 looks at pixels -8...7
    assert cells.sum() == 0.5


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (perfect(LEFT), "found"),
        (perfect(RIGHT), "peak_in_another_source"),
        (perfect((96, 160, 160, 224)), "peak_elsewhere"),
        (perfect((24, 72, 40, 88)) + 0.9 * perfect((104, 168, 152, 216)), "also_lit_elsewhere"),
        (perfect((24, 72, 40, 88)) + 0.9 * perfect((0, 0, 24, 120)), "beside"),
    ],
)
def test_each_cause_is_told(cells, why):
    found, reached, ceiling = cause(SCENE, 0, cells.astype(np.float32))
    assert found == why
    assert (reached >= 0.5) == (why == "found")
    assert ceiling > 0.5


def test_a_thing_under_a_cell_is_too_small_for_any_map():
    found, reached, ceiling = cause(TINY, 0, perfect((96, 96, 112, 112)))
    assert found == "too_small"
    assert reached <= ceiling < 0.5


def test_shares_ceilings_and_bounds_of_pictures_with_several_things():
    embeddings = np.stack([perfect(LEFT), perfect(RIGHT)])
    left, right = np.eye(2, dtype=np.float32)
    report = map_shape([(SCENE, embeddings, [left, right]), (SCENE, embeddings, [left, left])], "by hand")
    assert report["causes"] == dict.fromkeys(CAUSES, 0.0) | {"found": 0.75, "peak_in_another_source": 0.25}
    assert report["n"] == 4
    assert report["ceiling_ciou"] == 1
    (side,) = report["by_side"]
    assert (side["from"], side["to"], side["n"], side["peak_in_box"]) == (0.2, 0.3, 4, 0.75)
    assert "iiou" in report
    assert "iiou" not in map_shape([(TINY, np.stack([perfect((96, 96, 112, 112))] * 2), [left])], "by hand")
