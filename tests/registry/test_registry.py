"""Registering, finding and listing tasks, and the sentences for what goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

import medhub
from medhub.errors import BrokenPlugin, DuplicateTask, RegistryError, UnknownDataset, UnknownTask
from medhub.registry import get_by_model_type, zoo_index

HERE = Path(__file__)
Install = Callable[..., Path]


def make_task(id: str = "stranger/task", **changes: object) -> medhub.Task:
    task = medhub.Task(
        id=id, package="stranger_task", summary="a task made for a test", modality="text", config="C", model="M",
        processor="P", auto_class="AutoModel", metrics=("accuracy",), dataset="synthetic", extra="",
    )  # fmt: skip
    return replace(task, **changes)  # type: ignore[arg-type]


def test_built_in_tasks_are_listed_in_order() -> None:
    assert {"imaging/classification", "chem/toxicity"} <= {*medhub.tasks()}
    assert [*medhub.tasks()] == sorted(medhub.tasks())


@pytest.mark.usefixtures("registry")
def test_a_registered_task_is_found_by_id_and_by_model_type() -> None:
    task = medhub.register(make_task())
    assert medhub.get("stranger/task") is task
    assert task.model_type == "medhub_stranger_task"
    assert get_by_model_type("medhub_stranger_task") is task
    assert "stranger/task" in medhub.tasks()


@pytest.mark.usefixtures("registry")
def test_find_tells_the_line_that_registered() -> None:
    line = sys._getframe().f_lineno + 1
    medhub.register(make_task())
    place = medhub.find("stranger/task")
    assert (place.file, place.line) == (HERE, line)


@pytest.mark.usefixtures("registry")
def test_the_same_task_may_be_registered_again_but_no_other_under_its_id() -> None:
    first = sys._getframe().f_lineno + 1
    medhub.register(make_task())
    medhub.register(make_task())
    with pytest.raises(DuplicateTask) as raised:
        medhub.register(make_task(summary="another task"))
    second = sys._getframe().f_lineno - 1
    assert f"{HERE}:{first}" in str(raised.value)
    assert f"{HERE}:{second}" in str(raised.value)
    assert medhub.get("stranger/task").summary == "a task made for a test"


@pytest.mark.usefixtures("registry")
def test_two_tasks_cannot_share_the_model_type_by_which_saved_models_find_them() -> None:
    medhub.register(make_task(id="stranger/task_two"))
    with pytest.raises(DuplicateTask, match=r"'stranger/task_two'.*'stranger_task/two'.*medhub_stranger_task_two"):
        medhub.register(make_task(id="stranger_task/two"))


def test_a_task_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        make_task().id = "other/task"  # type: ignore[misc]


def test_an_unknown_task_names_the_nearest_and_all() -> None:
    with pytest.raises(UnknownTask) as raised:
        medhub.get("imaging/clasification")
    message = str(raised.value)
    assert "no task 'imaging/clasification'; did you mean 'imaging/classification'?" in message
    assert "chem/toxicity" in message


def test_an_unknown_model_type_says_to_install_its_distribution() -> None:
    with pytest.raises(UnknownTask, match=r"no installed plugin .* did you mean 'medhub_chem_toxicity'.*install"):
        get_by_model_type("medhub_chem_toxcity")


@pytest.mark.parametrize("id", ["toxicity", "Chem/toxicity", "chem/tox-icity", "chem/toxicity/more", "chem/"])
def test_an_id_that_is_no_path_is_refused(id: str) -> None:
    with pytest.raises(RegistryError, match="area/task"):
        make_task(id)


def test_a_task_needs_a_metric() -> None:
    with pytest.raises(RegistryError, match="no metric"):
        make_task(metrics=())


def test_an_entry_point_announces_a_task_that_is_imported_when_asked_for(install: Install) -> None:
    file = install("stranger/series", "stranger_series")
    assert "stranger/series" in medhub.tasks()
    assert "stranger_series" not in sys.modules
    assert medhub.get("stranger/series").package == "stranger_series"
    place = medhub.find("stranger/series")
    assert (place.distribution, place.version, place.file) == ("stranger-series", "1.2.3", file)
    assert place.line == 4
    assert str(place) == f"{file}:4 (stranger-series 1.2.3)"


def test_two_distributions_that_announce_one_task_are_both_named(install: Install) -> None:
    install("stranger/series", "stranger_first")
    install("stranger/series", "stranger_second")
    with pytest.raises(DuplicateTask) as raised:
        medhub.tasks()
    for part in ("'stranger/series'", "stranger-first", "stranger_first", "stranger-second", "uninstall"):
        assert part in str(raised.value)


def test_a_distribution_cannot_take_a_built_in_task(install: Install) -> None:
    install("chem/toxicity", "stranger_toxicity")
    with pytest.raises(DuplicateTask, match=r"medhub\.plugins\.chem\.toxicity.*stranger_toxicity"):
        medhub.tasks()


def test_a_plugin_that_cannot_be_imported_is_named_and_leaves_the_others(install: Install) -> None:
    install("stranger/series", "stranger_series", source="import no_such_library\n")
    assert "stranger/series" in medhub.tasks()
    with pytest.raises(BrokenPlugin) as raised:
        medhub.get("stranger/series")
    for part in ("'stranger/series'", "stranger-series", "no_such_library", "uninstall"):
        assert part in str(raised.value)
    assert medhub.get("chem/toxicity").id == "chem/toxicity"


def test_a_plugin_that_registers_nothing_is_told_what_to_call(install: Install) -> None:
    install("stranger/series", "stranger_series", source='"""Empty."""\n')
    with pytest.raises(BrokenPlugin, match=r"did not register it; .*medhub.register\(Task\(id='stranger/series'"):
        medhub.get("stranger/series")


def test_a_class_that_is_not_there_is_named_with_its_file(install: Install) -> None:
    package = install("stranger/series", "stranger_series").parent
    (package / "config.py").write_text('"""No config."""\n')
    task = medhub.get("stranger/series")
    with pytest.raises(BrokenPlugin, match=r"registers config='C'.*no such class.*config\.py"):
        _ = task.config_class
    with pytest.raises(BrokenPlugin, match=r"cannot import stranger_series\.model"):
        _ = task.model_class


def test_a_missing_library_names_the_extra(install: Install) -> None:
    source = install("stranger/series", "stranger_series")
    source.write_text(source.read_text().replace('extra=""', 'extra="chem"'))
    (source.parent / "config.py").write_text("import no_such_library\n")
    with pytest.raises(BrokenPlugin, match=r"no_such_library.*pip install 'medhub\[chem\]'"):
        _ = medhub.get("stranger/series").config_class


def test_an_unknown_data_set_or_metric_names_the_nearest(install: Install) -> None:
    package = install("stranger/series", "stranger_series").parent
    (package / "data.py").write_text('DATASETS = {"physionet": None}\n')
    (package / "metrics.py").write_text('METRICS = {"own": "the plugin\'s own"}\n')
    task = medhub.get("stranger/series")
    with pytest.raises(UnknownDataset, match=r"no data set 'fysionet'; did you mean 'physionet'.*your own file"):
        task.source("fysionet")
    assert task.metric("own") == "the plugin's own"
    assert task.metric("auroc").best == 1.0
    with pytest.raises(RegistryError, match="no metric 'aurok'; did you mean 'auroc'"):
        task.metric("aurok")


def test_the_zoo_leads_from_models_to_tasks() -> None:
    for name, id in zoo_index().items():
        assert id in medhub.tasks(), f"zoo/{name} is of no registered task"
