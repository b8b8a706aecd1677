"""The rows of imaging/detection: synthetic, public and the user's own; and the baseline on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import medhub
from medhub.data import load_data, prepare
from medhub.errors import InputError, LabelError
from medhub.plugins.imaging.detection.baselines import threshold_and_watershed
from medhub.plugins.imaging.detection.config import ImageDetectionConfig
from medhub.plugins.imaging.detection.data import own_files, synthetic
from medhub.plugins.imaging.detection.processing import ImageDetectionProcessor

pillow = pytest.importorskip("PIL.Image")
pytest.importorskip("pydicom")
TASK = medhub.get("imaging/detection")


def png(path: Path, value: int = 0, *, size: tuple[int, int] = (40, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


def voc(path: Path, *objects: tuple[str, list[float]], size: tuple[int, int] = (40, 60), name: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    corners = ("xmin", "ymin", "xmax", "ymax")
    nodes = [
        f"<object><name>{label}</name><bndbox>"
        + "".join(f"<{corner}>{value}</{corner}>" for corner, value in zip(corners, box, strict=False))
        + "</bndbox></object>"
        for label, box in objects
    ]
    path.write_text(
        f"<annotation><filename>{name or path.stem + '.png'}</filename><size><width>{size[1]}</width>"
        f"<height>{size[0]}</height></size>{''.join(nodes)}</annotation>"
    )
    return path


def coco(path: Path, **changes) -> Path:
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 60, "height": 40}, {"id": 8, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "cell"}, {"id": 1, "name": "debris"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10]}],
    }
    path.write_text(json.dumps({**content, **changes}))
    return path


def yolo(folder: Path, text: str = "1 0.5 0.5 0.5 0.25\n") -> Path:
    png(folder / "images" / "a.png")
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text(text)
    (folder / "classes.txt").write_text("debris\ncell\n")
    return folder


# --- synthetic


def test_synthetic_images_repeat_by_seed():
    first, again, other = (synthetic(size=6, seed=seed).rows.to_dict() for seed in (0, 0, 1))
    assert first == again != other


def test_synthetic_objects_differ_in_size_and_do_not_overlap():
    rows = synthetic(size=50).rows
    boxes = [np.array(labels["boxes"]) for labels in rows["labels"]]
    assert {len(each) for each in boxes} == {1, 2, 3, 4}
    sides = np.concatenate(boxes)[:, 2] - np.concatenate(boxes)[:, 0]
    assert sides.min() <= 12
    assert sides.max() >= 30
    for each in boxes:
        canvas = np.zeros((64, 64), int)
        for left, top, right, bottom in each.astype(int):
            canvas[top:bottom, left:right] += 1
        assert canvas.max() == 1


# --- public


def test_cbc_is_split_as_its_authors_did(mirror: Path):
    splits = load_data(TASK.source("cbc"))
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [240, 60, 60]
    assert splits.label_names == ("RBC", "WBC", "Platelets")
    counts = [np.bincount(np.concatenate([labels["classes"] for labels in part["labels"]])) for part in parts]
    # the published 3341 / 307 / 304 less the validation images', and less the two boxes without area
    np.testing.assert_array_equal(counts, [[3341 - 700 - 1, 307 - 63, 304 - 49], [700, 63, 49], [792 - 1, 61, 55]])
    table = splits.summary()
    assert table["dropped"] == {"image of train that also stands in validation": 60}
    assert any("BloodImage_00343 (test), BloodImage_00338 (train)" in note for note in table["notes"])


def test_dsb2018_has_a_box_around_every_nucleus(mirror: Path):
    rows = TASK.source("dsb2018").load(TASK.source("dsb2018").fetch()).rows
    assert len(rows) == 541
    assert sum(len(labels["classes"]) for labels in rows["labels"]) == 23_096
    assert len({(*labels["size"],) for labels in rows["labels"]}) > 3  # pictures of several sizes
    row = rows[0]
    name = Path(row["input"][0]["path"]).name
    mask = np.asarray(pillow.open(mirror / "dsb2018" / "masks" / name))
    assert [*mask.shape] == row["labels"]["size"]
    place = np.argwhere(mask == mask[mask > 0].min())
    top, left = place.min(0)
    bottom, right = place.max(0) + 1
    assert row["labels"]["boxes"][0] == [left, top, right, bottom]


# --- the user's own


@pytest.mark.parametrize("folders", [("", ""), ("Annotations", "Images"), ("Annotations", "JPEGImages")])
def test_voc(tmp_path: Path, folders: tuple[str, str]):
    annotations, images = (tmp_path / folder for folder in folders)
    for name in ("a", "b", "spare"):
        png(images / f"{name}.png")
    voc(annotations / "a.xml", ("cell", [10, 5, 30, 15]), ("debris", [0, 0, 61, 40.5]))
    voc(annotations / "b.xml")
    table = own_files(tmp_path)
    assert table.label_names == ("cell", "debris")
    assert table.rows["labels"][0] == {"classes": [0, 1], "boxes": [[10, 5, 30, 15], [0, 0, 60, 40]], "size": [40, 60]}
    assert table.rows["labels"][1]["boxes"] == []
    assert table.dropped == {"image without a label file": 1}
    assert len(set(table.rows["group"])) == 1  # one picture three times
    assert "patient of 2 of 2 images is unknown" in table.notes[0]


def test_coco(tmp_path: Path):
    png(tmp_path / "a.png", 0)
    png(tmp_path / "images" / "b.png", 1)
    crowd = {"id": 2, "image_id": 8, "category_id": 3, "bbox": [0, 0, 60, 40], "iscrowd": 1}
    whole = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10]}
    table = own_files(coco(tmp_path / "boxes.json", annotations=[whole, crowd]))
    assert table.label_names == ("debris", "cell")
    assert [labels["classes"] for labels in table.rows["labels"]] == [[1], []]
    assert table.rows["labels"][0]["boxes"] == [[10, 5, 30, 15]]
    assert table.dropped == {"region of a crowd, which is no object": 1}
    assert len(set(table.rows["group"])) == 2


@pytest.mark.parametrize("names", ["[debris, cell]", "{0: debris, 1: cell}"])
def test_yolo(tmp_path: Path, names: str):
    yolo(tmp_path)
    table = own_files(tmp_path)
    assert table.label_names == ("debris", "cell")
    assert table.rows["labels"][0] == {"classes": [1], "boxes": [[15, 15, 45, 25]], "size": [40, 60]}
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "data.yaml").write_text(f"nc: 2\nnames: {names}\n")
    assert own_files(tmp_path).rows.to_dict() == table.rows.to_dict()


def test_own_images_are_what_the_processor_reads(tmp_path: Path):
    rows = own_files(yolo(tmp_path)).rows
    processor = ImageDetectionProcessor.fit(rows, ImageDetectionConfig.tiny())
    labels = prepare(rows, processor, cache=False)[0]["labels"]
    # 40 by 60 pixels become 43 by 64
    np.testing.assert_allclose(labels, [[1, 15 * 64 / 60, 15 * 43 / 40, 45 * 64 / 60, 25 * 43 / 40]], rtol=1e-6)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([10, 5, 10, 15], r"object 2: the box \(10, 5, 10, 15\) has no area"),
        ([30, 5, 10, 15], r"object 2: .* has no area"),
        ([10, 5, 70, 15], r"object 2: the box \(10, 5, 70, 15\) leaves the image a\.png, which has 60 by 40"),
        ([-9, 5, 20, 15], r"object 2: .* leaves the image"),
        (["nan", 5, 20, 15], r"object 2: .* is no box"),
        ([10, 5, 20], r"object 2: .* is no box"),
    ],
)
def test_a_wrong_voc_box_is_named(tmp_path: Path, box: list, said: str):
    png(tmp_path / "a.png")
    voc(tmp_path / "a.xml", ("cell", [1, 1, 5, 5]), ("cell", box))
    with pytest.raises(LabelError, match=rf"a\.xml, {said}"):
        own_files(tmp_path)


def test_a_voc_file_without_image_of_another_size_or_damaged_is_named(tmp_path: Path):
    file = voc(tmp_path / "a.xml", ("cell", [1, 1, 5, 5]))
    with pytest.raises(InputError, match=r"a\.xml: there is no image a\.png"):
        own_files(tmp_path)
    png(tmp_path / "a.png", size=(60, 40))
    with pytest.raises(InputError, match=r"a\.xml says that a\.png has 60 by 40 pixels, but it has 40 by 60"):
        own_files(tmp_path)
    file.write_text("<annotation>")
    with pytest.raises(LabelError, match=r"a\.xml cannot be read"):
        own_files(tmp_path)
    voc(file, ("", [1, 1, 5, 5]))
    with pytest.raises(LabelError, match=r"a\.xml, object 1: there is no name"):
        own_files(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_id": 9}, r"annotation 5: there is no image with the id 9"),
        ({"category_id": 2}, r"annotation 5: there is no category with the id 2; ids: \[3, 1\]"),
        ({"bbox": [10, 5, 0, 10]}, r"annotation 5: .* has no area"),
        ({"bbox": [50, 5, 20, 10]}, r"annotation 5: .* leaves the image a\.png"),
        ({"bbox": None}, r"annotation 5: .* is no box"),
        ({"bbox": "abcd"}, r"annotation 5: 'abcd' is no box"),
    ],
)
def test_a_wrong_coco_annotation_is_named(tmp_path: Path, change: dict, said: str):
    png(tmp_path / "a.png")
    png(tmp_path / "b.png")
    annotation = {"id": 5, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10], **change}
    with pytest.raises(LabelError, match=rf"boxes\.json, {said}"):
        own_files(coco(tmp_path / "boxes.json", annotations=[annotation]))


def test_a_coco_file_that_is_none_or_names_no_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"boxes\.json, image 7: there is no file 'a\.png'"):
        own_files(coco(tmp_path / "boxes.json"))
    for text in ("", "[]", '{"images": []}', '{"images": [{}], "categories": [], "annotations": []}'):
        (tmp_path / "boxes.json").write_text(text)
        with pytest.raises(InputError, match=r"boxes\.json is not COCO's JSON"):
            own_files(tmp_path / "boxes.json")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2 .5 .5 .1 .1", r"line 2: there is no class '2'; give a number below 2"),
        ("cell .5 .5 .1 .1", r"line 2: there is no class 'cell'"),
        ("0 .5 .5 .1", r"line 2: .* is no box"),
        ("0 .5 .5 .1 x", r"line 2: .* is no box"),
        ("0 .5 .5 0 .1", r"line 2: .* has no area"),
        ("0 .9 .5 .5 .1", r"line 2: .* leaves the image a\.png"),
    ],
)
def test_a_wrong_yolo_line_is_named(tmp_path: Path, line: str, said: str):
    with pytest.raises(LabelError, match=rf"a\.txt, {said}"):
        own_files(yolo(tmp_path, f"0 .5 .5 .5 .5\n{line}\n"))


def test_a_yolo_file_without_image_or_names(tmp_path: Path):
    yolo(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text("")
    with pytest.raises(InputError, match=r"b\.txt: there is no image b"):
        own_files(tmp_path)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(InputError, match=r"neither \.xml files nor classes\.txt or data\.yaml"):
        own_files(tmp_path)
    (tmp_path / "data.yaml").write_text("nc: 2\n")
    with pytest.raises(InputError, match=r"data\.yaml has no list 'names'"):
        own_files(tmp_path)


def test_a_folder_of_images_without_objects_is_refused(tmp_path: Path):
    png(tmp_path / "a.png")
    voc(tmp_path / "a.xml")
    with pytest.raises(LabelError, match="no image has an object"):
        own_files(tmp_path)


# --- baseline


def test_the_baseline_finds_synthetic_objects_and_names_them():
    splits = load_data(synthetic(size=60), split="group")
    processor = ImageDetectionProcessor.fit(splits.train, ImageDetectionConfig.tiny())
    scores = threshold_and_watershed(splits.train, splits.test, labels=splits.label_names, seed=0, processor=processor)
    truths = processor.truths(prepare(splits.test, processor, cache=False).take(np.arange(len(splits.test))))
    assert TASK.metric("map50").compute(scores, truths) > 0.8
    assert TASK.metric("counting").compute(scores, truths) > 0.7


def test_the_baseline_learns_from_rows_without_a_region():
    rows = synthetic(size=4).rows
    empty = rows.map(lambda row: {"labels": {"classes": [0], "boxes": [[0.0, 0.0, 1.0, 1.0]], "size": [64, 64]}})
    processor = ImageDetectionProcessor.fit(empty, ImageDetectionConfig.tiny())
    scores = threshold_and_watershed(empty, rows, labels=("disc", "square"), seed=0, processor=processor)
    assert all((row[:, 4] == 0).all() for row in scores)  # no region was ever an object
