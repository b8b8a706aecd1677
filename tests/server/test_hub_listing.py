"""Lists, filters and pages: with the unmodified client, and over thousands of rows that are inserted directly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from huggingface_hub.errors import BadRequestError
from sqlalchemy import event, insert, text

from medhub.server import listing
from medhub.server.access import Principal
from medhub.server.database import Database
from medhub.server.errors import BadRequest
from medhub.server.listing import Filters
from medhub.server.tables import Account, Repo, RepoTag, new_id, now

pytestmark = pytest.mark.filterwarnings("ignore:Warnings while validating metadata")

MODELS = {
    "alice/resnet-lungs": """
license: mit
pipeline_tag: image-classification
library_name: timm
tags: [radiology, chest]
""",
    "alice/bert-notes": """
license: apache-2.0
pipeline_tag: text-classification
language: en
datasets: [alice/notes]
""",
    "radiology/unet": """
license: mit
pipeline_tag: image-segmentation
tags: [radiology]
""",
}
"""The front matter of three public models."""


@pytest.fixture(scope="module")
def models(served) -> None:
    """Public models with cards, a private one, a data set and a space."""
    api = served.api("alice")
    for name, card in MODELS.items():
        api.create_repo(name, private=False)
        api.upload_file(repo_id=name, path_or_fileobj=f"---{card}---\n# {name}\n".encode(), path_in_repo="README.md")
    api.create_repo("alice/secret-lungs")
    card = b"---\nlicense: mit\ntags: [radiology]\n---\n"
    api.upload_file(repo_id="alice/secret-lungs", path_or_fileobj=card, path_in_repo="README.md")
    api.create_repo("alice/notes", repo_type="dataset", private=False)
    card = (
        b"---\ntask_categories: [text-classification]\nsize_categories: n<1K\nlanguage: [en]\n---\n# Clinical notes\n"
    )
    api.upload_file(repo_id="alice/notes", repo_type="dataset", path_or_fileobj=card, path_in_repo="README.md")
    api.create_repo("alice/demo", repo_type="space", space_sdk="gradio", private=False)
    card = b"---\nsdk: gradio\ndatasets: [alice/notes]\n---\n"
    api.upload_file(repo_id="alice/demo", repo_type="space", path_or_fileobj=card, path_in_repo="README.md")
    api.create_repo("alice/plain", repo_type="space", space_sdk="static", private=False)


def names(found: Iterator) -> set[str]:
    return {one.id for one in found}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, set(MODELS)),
        ({"author": "alice"}, {"alice/resnet-lungs", "alice/bert-notes"}),
        ({"author": "ALICE"}, {"alice/resnet-lungs", "alice/bert-notes"}),
        ({"author": "nobody"}, set()),
        ({"filter": "license:mit"}, {"alice/resnet-lungs", "radiology/unet"}),
        ({"filter": ["license:mit", "chest"]}, {"alice/resnet-lungs"}),
        ({"filter": ["license:mit", "nothing"]}, set()),
        ({"filter": "timm"}, {"alice/resnet-lungs"}),
        ({"pipeline_tag": "image-segmentation"}, {"radiology/unet"}),
        ({"pipeline_tag": "radiology"}, set()),
        ({"trained_dataset": "alice/notes"}, {"alice/bert-notes"}),
        ({"search": "LUNG"}, {"alice/resnet-lungs"}),
        ({"search": "esnet chest"}, {"alice/resnet-lungs"}),
        ({"search": "un"}, {"alice/resnet-lungs", "radiology/unet"}),
        ({"search": "%"}, set()),
        ({"search": 'a" OR "b'}, set()),
        ({"gated": False}, set(MODELS)),
        ({"gated": True}, set()),
        ({"inference": "warm"}, set()),
        ({"num_parameters": "min:1"}, set()),
    ],
)  # fmt: skip
def test_filters_of_models(served, models: None, asked: dict, expected: set[str]) -> None:
    assert names(served.api("bob").list_models(**asked)) == expected


def test_filters_of_data_sets_and_spaces(served, models: None) -> None:
    api = served.api("bob")
    assert names(api.list_datasets(task_categories="text-classification", language="en")) == {"alice/notes"}
    assert names(api.list_datasets(size_categories="1K<n<10K")) == set()
    assert names(api.list_datasets(dataset_name="notes", search="clinical")) == {"alice/notes"}
    assert names(api.list_datasets(filter="benchmark:official")) == set()
    assert names(api.list_spaces()) == {"alice/demo", "alice/plain"}
    assert names(api.list_spaces(datasets="alice/notes")) == {"alice/demo"}
    assert names(api.list_spaces(linked=True)) == {"alice/demo"}
    assert names(api.list_spaces(filter="gradio")) == {"alice/demo"}


def test_what_a_list_tells(served, models: None) -> None:
    api = served.api("bob")
    (found,) = api.list_models(author="radiology")
    assert (found.pipeline_tag, found.private, found.gated, found.downloads, found.likes) == (
        "image-segmentation", False, False, 0, 0,
    )  # fmt: skip
    assert {"license:mit", "radiology"} <= set(found.tags)
    assert found.siblings is found.card_data is found.sha is None
    (full,) = api.list_models(author="radiology", full=True, cardData=True, fetch_config=True)
    assert (full.sha, full.card_data.license) == (api.model_info("radiology/unet").sha, "mit")
    assert {file.rfilename for file in full.siblings} == {".gitattributes", "README.md"}
    (expanded,) = api.list_models(author="radiology", expand=["sha", "childrenModelCount"])
    assert (expanded.sha, expanded.children_model_count, expanded.tags) == (full.sha, 0, None)
    with pytest.raises(BadRequestError):
        list(api.list_models(expand=["nonsense"]))
    assert next(iter(api.list_spaces(filter="gradio", full=True))).card_data.sdk == "gradio"
    assert next(iter(api.list_datasets(full=True))).card_data.language == ["en"]


def test_orders(served, models: None) -> None:
    api = served.api("bob")
    with served.hub.database.write() as session:
        for repo in session.query(Repo):
            repo.likes = {"unet": 3, "bert-notes": 2}.get(repo.name, 0)
            repo.downloads = {"bert-notes": 9, "resnet-lungs": 4}.get(repo.name, 0)
    for sort, expected in {
        "created_at": ["unet", "bert-notes", "resnet-lungs"],
        "last_modified": ["unet", "bert-notes", "resnet-lungs"],
        "downloads": ["bert-notes", "resnet-lungs", "unet"],
        "likes": ["unet", "bert-notes", "resnet-lungs"],
        "trending_score": ["unet", "bert-notes", "resnet-lungs"],
    }.items():
        assert [one.id.split("/")[1] for one in api.list_models(sort=sort)] == expected, sort
    with served.client("bob") as client:
        assert client.get("/api/models?sort=nonsense").status_code == 400
        assert len(client.get("/api/models?sort=lastModified&direction=-1&full=True").json()) == 3, "older clients"


def test_pages(served, models: None) -> None:
    assert len(list(served.api("bob").list_models(limit=2))) == 2
    with served.client("bob") as client:
        seen, url = [], "/api/models?limit=1&author=alice&full=true"
        while url:
            page = client.get(url)
            seen += [one["id"] for one in page.json()]
            url = page.links.get("next", {}).get("url")
            assert url is None or (url.startswith(served.url) and "author=alice" in url)
        assert seen == ["alice/bert-notes", "alice/resnet-lungs"]
        assert client.get("/api/models?limit=0").status_code == 400
        assert client.get("/api/models?limit=100000000").status_code == 200


def test_private_repositories_are_listed_for_those_who_see_them(served, models: None) -> None:
    assert "alice/secret-lungs" in names(served.api("alice").list_models(search="lungs"))
    assert "alice/secret-lungs" in names(served.api("root").list_models(filter="radiology"))
    for who in ("bob", "carol", None):
        with served.client(who) as client:
            for query in ("", "?search=secret", "?author=alice", "?filter=radiology", "?sort=downloads&full=true"):
                assert "secret" not in client.get(f"/api/models{query}").text
            assert (
                client.get("/api/models?search=secret").json() == client.get("/api/models?search=absent").json() == []
            )
    with served.client(None) as client:
        assert client.get("/api/models").json() == [], "public means: everybody with an account"


def test_a_moved_repository_is_found_by_its_new_name(served, models: None) -> None:
    api = served.api("alice")
    api.create_repo("alice/caterpillar", private=False)
    api.move_repo("alice/caterpillar", "alice/butterfly")
    assert names(api.list_models(search="utterfl")) == {"alice/butterfly"}
    assert names(api.list_models(search="aterpilla")) == set()
    api.delete_repo("alice/butterfly")
    assert names(api.list_models(search="utterfl")) == set()


def test_tags_by_type(served, models: None) -> None:
    with served.client("bob") as client:
        found = client.get("/api/models-tags-by-type").json()
        ids = {type_: {tag["id"] for tag in tags} for type_, tags in found.items()}
        assert ids["pipeline_tag"] == {"image-classification", "text-classification", "image-segmentation"}
        assert ids["library"] == {"timm"}
        assert {"id": "license:mit", "label": "mit", "type": "license"} in found["license"]
        assert {"radiology", "chest"} <= ids["other"]
        datasets = client.get("/api/datasets-tags-by-type").json()
        assert {tag["label"] for tag in datasets["task_categories"]} == {"text-classification"}
    assert served.api("bob").get_model_tags()["license"] == [], (
        "the client asks this as a stranger, who sees nothing here"
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with 3,000 models and 30 data sets of ten users, a third of them private."""
    folder: Path = tmp_path_factory.mktemp("many")
    database = Database(f"sqlite:///{folder / 'hub.sqlite'}")
    database.upgrade()
    with database.write() as session:
        users = [Account(kind="user", name=f"u{number}", lower=f"u{number}") for number in range(10)]
        session.add_all(users)
        session.flush()
        repos, tags = [], []
        for number in range(3030):
            user, name, repo_id = users[number % 10], f"net-{number:04}", new_id()
            repos.append(
                {
                    "id": repo_id, "kind": "dataset" if number >= 3000 else "model", "namespace_id": user.id,
                    "namespace": user.name, "name": name, "path": f"{user.name}/{name}",
                    "visibility": "public" if number % 3 else "private",
                    "updated": now() - timedelta(minutes=number // 2), "downloads": number % 7,
                    "text": "needle" if number == 1234 else "hay",
                    "facts": {"safetensors": {"total": number * 1_000_000}},
                }
            )  # fmt: skip
            tags += [(repo_id, "all"), (repo_id, f"few-{number // 100}")] + [(repo_id, "half")] * (number % 2)
        session.execute(insert(Repo), repos)
        session.execute(insert(RepoTag), [{"repo_id": repo_id, "tag": tag} for repo_id, tag in tags])
    yield database
    database.close()


def caller(database: Database, name: str) -> Principal:
    with database.read() as session:
        user = session.query(Account).filter_by(lower=name).one()
    return Principal(id=user.id, name=user.name)


def pages(database: Database, principal: Principal, filters: Filters, *, sort: str, limit: int) -> list[str]:
    found, cursor = [], None
    while True:
        with database.read() as session:
            rows, cursor = listing.search(
                session, principal, "model", anonymous=False, filters=filters, sort=sort, limit=limit, cursor=cursor
            )
        found += [row.name for row in rows]
        if cursor is None:
            return found
        assert len(rows) == limit


@pytest.mark.parametrize("sort", ["lastModified", "downloads"])
def test_pages_hold_everything_once_and_in_order(many: Database, sort: str) -> None:
    found = pages(many, caller(many, "u4"), Filters(), sort=sort, limit=97)
    mine_or_public = {f"net-{number:04}" for number in range(3000) if number % 3 or number % 10 == 4}
    assert sorted(found) == sorted(mine_or_public)
    keys = [int(name[4:]) // 2 if sort == "lastModified" else -(int(name[4:]) % 7) for name in found]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (Filters(tags=["half"]), [n for n in range(3000) if n % 2]),
        (Filters(tags=["all", "few-7", "half"]), [n for n in range(700, 800) if n % 2]),
        (Filters(author="u5", tags=["half"]), [n for n in range(3000) if n % 10 == 5]),
        (Filters(search=["needle"]), [1234]),
        (Filters(search=["net-12"], tags=["half"]), [n for n in range(1200, 1300) if n % 2]),
        (Filters(search=["-299"]), list(range(2990, 3000))),
        (Filters(num_parameters="min:2.9B,max:2901M"), [2900, 2901]),
        (Filters(num_parameters="min:2999M"), [2999]),
    ],
)
def test_few_and_many_are_filtered_alike(many: Database, filters: Filters, numbers: list[int]) -> None:
    found = pages(many, caller(many, "u0"), filters, sort="lastModified", limit=100)
    expected = {f"net-{number:04}" for number in numbers if number % 3 or number % 10 == 0}
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("sort", sorted(listing.SORTS))
def test_a_page_is_read_off_an_index(many: Database, sort: str) -> None:
    """The first page costs the same whatever the number of repositories: no table is scanned, nothing is sorted."""
    statements: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    with many.read() as session:
        event.listen(session.get_bind(), "before_cursor_execute", note)
        rows, cursor = listing.search(
            session, caller(many, "u1"), "model", anonymous=False, filters=Filters(tags=["all"]), sort=sort, limit=20
        )
        listing.search(session, caller(many, "u1"), "model", anonymous=False, sort=sort, limit=20, cursor=cursor)
        event.remove(session.get_bind(), "before_cursor_execute", note)
        assert len(rows) == 20
        lists = [(statement, parameters) for statement, parameters in statements if "ORDER BY" in statement]
        assert len(lists) == 2
        for statement, parameters in lists:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            told = " / ".join(step[3] for step in plan)
            assert "USING INDEX repo_by_" in told
            assert not [word for word in ("SCAN", "TEMP B-TREE") if word in told], told


def test_tags_in_use_are_those_of_what_the_caller_sees(many: Database) -> None:
    with many.write() as session:
        hidden = session.query(Repo).filter_by(name="net-0000").one()
        session.add(RepoTag(repo_id=hidden.id, tag="few-hidden"))
    for who, more in (("u0", ["few-hidden"]), ("u1", [])):
        with many.read() as session:
            found = listing.tags_in_use(session, caller(many, who), "model", anonymous=False, prefix="few-")
            assert list(found) == sorted(f"few-{number}" for number in range(30)) + more, "many: by leaps"
            everything = listing.tags_in_use(session, caller(many, who), "model", anonymous=False)
            assert sorted([*found, "all", "half"]) == list(everything)
            few = listing.tags_in_use(session, caller(many, who), "dataset", anonymous=False)
            assert list(few) == ["all", "few-30", "half"], "few: by their ids"
            assert list(listing.tags_in_use(session, caller(many, who), "space", anonymous=False)) == []


def test_deleted_rows_leave_the_search_index(many: Database) -> None:
    def held() -> int:
        with many.read() as session:
            return session.execute(
                text("SELECT count(*) FROM repo_search WHERE repo_search MATCH 'hapax'")
            ).scalar_one()

    with many.write() as session:
        user = session.query(Account).filter_by(lower="u9").one()
        repo = Repo(
            kind="space",
            namespace_id=user.id,
            namespace="u9",
            name="x",
            path="u9/x",
            visibility="private",
            text="hapax",
        )
        session.add(repo)
    assert held() == 1
    with many.write() as session:
        session.get(Repo, repo.id).text = "other"
    assert held() == 0
    with many.write() as session:
        session.get(Repo, repo.id).text = "hapax"
        session.flush()
        session.delete(session.get(Repo, repo.id))
    assert held() == 0


@pytest.mark.parametrize(
    "cursor",
    [
        7,
        "x",
        [],
        [1],
        [1, 2],
        [None, "a"],
        ["not a time", "a"],
        [[], "a"],
        [2**70, "a"],
        ["0001-01-01T00:00:00+14:00", "a"],
    ],
)
@pytest.mark.parametrize("sort", ["lastModified", "likes"])
def test_cursors_of_others_are_refused(many: Database, cursor: object, sort: str) -> None:
    with many.read() as session, pytest.raises(BadRequest, match="cursor"):
        listing.search(session, caller(many, "u1"), "model", anonymous=False, sort=sort, cursor=cursor)


@pytest.mark.parametrize("bounds", ["", "6B", "min:", "min:x", "least:6B", "min:6B;max:7B", "min:" + "9" * 40])
def test_bounds_that_are_none(many: Database, bounds: str) -> None:
    with many.read() as session, pytest.raises(BadRequest, match="num_parameters"):
        listing.search(session, caller(many, "u1"), "model", anonymous=False, filters=Filters(num_parameters=bounds))
