"""What is drawn over images: regions, boxes, heat, and the colours and legends that go with them."""

from __future__ import annotations

import numpy as np
import pytest

from medhub.plugins.imaging.overlays import OKABE_ITO, box_overlay, heat_overlay, label_colours, outline, region_overlay

pytest.importorskip("PIL.Image")
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def colours_in(picture, *, above: int) -> set[tuple[int, ...]]:
    """The colours of the picture proper, whose height is `above`, without the legend."""
    return set(map(tuple, np.asarray(picture)[:above].reshape(-1, 3).tolist()))


def test_colours_depend_on_the_place_alone_and_differ():
    names = [f"label {number}" for number in range(20)]
    colours = label_colours(names)
    assert colours == label_colours(names)
    assert list(colours.values())[:7] == list(OKABE_ITO)
    assert len(set(colours.values())) == 20


def test_each_object_has_an_outline_of_its_own():
    objects = np.zeros((12, 20), int)
    objects[2:10, 2:10], objects[2:10, 10:18] = 1, 2
    together, apart = outline(np.minimum(objects, 1)), outline(objects)
    assert not together[5, 8:12].any()
    assert apart[5, 8:12].all()
    assert not apart[objects == 0].any()


@pytest.mark.parametrize("level", [0, 255])
def test_regions_are_outlined_on_dark_and_on_light(level: int):
    picture = np.full((620, 620, 1), level, np.uint8)
    mask = np.zeros((620, 620), int)
    mask[100:300, 100:300], mask[400:500, 400:500] = 1, 2
    colours = label_colours(("organ", "lesion"))
    drawn = region_overlay(picture, mask, ("organ", "lesion"), colours=colours)
    assert drawn.width == 620
    assert drawn.height > 620
    assert {*colours.values(), BLACK} <= colours_in(drawn, above=620)
    assert drawn.getpixel((100, 200)) == drawn.getpixel((101, 200)) == colours["organ"]  # two pixels wide
    assert drawn.getpixel((99, 200)) == BLACK
    filling = np.array(drawn.getpixel((200, 200)))
    assert np.abs(filling - level).max() < 0.3 * 255
    assert drawn.getpixel((600, 50)) == (level,) * 3
    legend = {*map(tuple, np.asarray(drawn)[620:].reshape(-1, 3).tolist())}
    assert {*colours.values(), WHITE} <= legend


def test_small_pictures_grow_and_keep_their_pixels_square():
    mask = np.zeros((31, 44), int)
    mask[10:20, 10:20] = 1
    drawn = region_overlay(np.zeros((31, 44, 3), np.uint8), mask, ["organ"], colours={"organ": (1, 2, 3)})
    assert drawn.width == 880
    assert 620 < drawn.height < 680


def test_long_legends_take_several_lines():
    names = [f"a rather long label, number {number}" for number in range(9)]
    mask = np.zeros((620, 620), int)
    one, many = (region_overlay(np.zeros((620, 620, 1), np.uint8), mask, some, colours=label_colours(some))
                 for some in (names[:1], names))  # fmt: skip
    assert many.height > one.height + 100


def test_boxes_are_drawn_where_they_are_said_to_be():
    colours = label_colours(("red cell", "white cell"))
    boxes = np.array([[100, 50, 200, 150], [300, 300, 880, 620]], float)
    picture = np.full((620, 880, 3), 200, np.uint8)
    drawn = box_overlay(picture, boxes, ["red cell", "white cell"], np.array([0.9, 0.5]), colours=colours)
    assert drawn.getpixel((199, 100)) == drawn.getpixel((198, 100)) == colours["red cell"]
    assert drawn.getpixel((200, 100)) == BLACK
    assert drawn.getpixel((879, 450)) == colours["white cell"]  # a box may end where the picture does
    assert drawn.getpixel((150, 100)) == (200,) * 3


def test_boxes_scale_with_the_picture():
    drawn = box_overlay(np.zeros((62, 88, 1), np.uint8), np.array([[10, 10, 20, 20]]), ["cell"], np.array([0.5]),
                        colours={"cell": WHITE})  # fmt: skip
    assert drawn.width == 880
    assert drawn.getpixel((199, 150)) == WHITE


def test_many_boxes_bear_no_figures():
    few, many = (
        box_overlay(np.zeros((620, 880, 1), np.uint8), np.tile([100, 100, 300, 300], (count, 1)), ["cell"] * count,
                    np.full(count, 0.5), colours={"cell": WHITE})
        for count in (40, 41)
    )  # fmt: skip
    assert few.getpixel((110, 104)) != many.getpixel((110, 104)) == BLACK


def test_no_box_is_a_picture_too():
    drawn = box_overlay(np.zeros((620, 880, 1), np.uint8), np.zeros((0, 4)), [], np.zeros(0), colours={"cell": WHITE})
    assert colours_in(drawn, above=620) == {BLACK}


def test_heat_of_zero_leaves_the_picture():
    picture = np.random.default_rng(0).integers(0, 255, (400, 350, 3)).astype(np.uint8)
    np.testing.assert_array_equal(heat_overlay(picture, np.zeros((4, 4))), picture)
    hot = np.asarray(heat_overlay(np.zeros((400, 400, 1), np.uint8), np.eye(2)))
    assert hot[50, 50, 0] > hot[50, 50, 2]
    assert not hot[20, 380].any()
