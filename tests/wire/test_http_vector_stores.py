"""Vector stores and files in OpenAI's protocol: what is stored, how it is paged, what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Service

STORES = "/v1/vector_stores"


class Stores:
    """Calls of the protocol over a service; reads and indexes when told to."""

    def __init__(self, service: Service) -> None:
        self.service, self.client = service, service.client

    async def call(self, method: str, path: str, expected: int = 200, **options: Any) -> Any:
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == expected, answer.text
        return answer.json()

    async def create(self, name: str = "docs", **options: Any) -> str:
        return (await self.call("POST", STORES, json={"name": name, **options}))["id"]

    async def upload(self, name: str, content: bytes | str, **form: str) -> str:
        data = content.encode() if isinstance(content, str) else content
        made = await self.call("POST", "/v1/files", files={"file": (name, data)}, data={"purpose": "assistants"} | form)
        return made["id"]

    async def attach(self, store: str, file: str, expected: int = 200, **options: Any) -> Any:
        return await self.call("POST", f"{STORES}/{store}/files", expected, json={"file_id": file, **options})

    async def add(self, store: str, name: str, content: bytes | str, **options: Any) -> str:
        """Upload, attach, read and index."""
        file = await self.upload(name, content)
        await self.attach(store, file, **options)
        await self.work()
        return file

    async def work(self) -> None:
        await self.service.app.state.service.reader.read_all()
        await self.service.index()

    async def file(self, store: str, file: str) -> Any:
        return await self.call("GET", f"{STORES}/{store}/files/{file}")

    async def search(self, store: str, query: Any, **options: Any) -> Any:
        return await self.call("POST", f"{STORES}/{store}/search", json={"query": query, **options})


@pytest.fixture
def stores(service: Service) -> Stores:
    return Stores(service)


async def test_a_file_is_uploaded_attached_read_and_found(stores):
    store = await stores.create()
    file = await stores.upload("copying.md", "# Copying\n\nhow to copy a file")
    attached = await stores.attach(store, file, attributes={"lang": "en", "year": 2020, "open": True})
    assert (attached["status"], attached["vector_store_id"]) == ("in_progress", "docs")
    await stores.work()
    done = await stores.file(store, file)
    assert (done["status"], done["last_error"]) == ("completed", None)
    assert done["attributes"] == {"lang": "en", "year": 2020, "open": True}
    assert done["usage_bytes"] == 29
    found = await stores.search(store, "copy a file")
    (hit,) = found["data"]
    assert (hit["file_id"], hit["filename"]) == (file, "copying.md")
    assert hit["attributes"] == {"lang": "en", "year": 2020, "open": True}
    assert hit["content"][0]["text"].endswith("how to copy a file")
    assert 0 <= hit["score"] <= 1
    assert found["search_query"] == ["copy a file"]
    content = await stores.call("GET", f"{STORES}/{store}/files/{file}/content")
    assert content["data"][0]["text"].endswith("how to copy a file")
    raw = await stores.client.get(f"/v1/files/{file}/content")
    assert raw.content == b"# Copying\n\nhow to copy a file"


async def test_a_collection_of_any_door_is_a_store(stores):
    documents = [{"id": "a/b", "text": "copy a file", "title": "A", "metadata": {"lang": "en", "tags": ["x"]}}]
    await stores.service.fill("native", documents, fields={"lang": "keyword"})
    listed = await stores.call("GET", STORES)
    assert [(each["id"], each["name"], each["status"]) for each in listed["data"]] == [
        ("native", "native", "completed")
    ]
    assert listed["data"][0]["file_counts"] == {
        "in_progress": 0,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
        "total": 1,
    }
    (file,) = (await stores.call("GET", f"{STORES}/native/files"))["data"]
    assert (file["id"], file["status"], file["attributes"]) == ("a/b", "completed", {"lang": "en"})
    assert (await stores.file("native", "a%2Fb"))["filename"] == "A"
    (hit,) = (await stores.search("native", "copy a file"))["data"]
    assert (hit["file_id"], hit["filename"], hit["attributes"]) == ("a/b", "A", {"lang": "en"})
    await stores.create("made")
    assert (await stores.client.get("/v1/collections/made")).status_code == 200


@pytest.mark.parametrize(
    ("title", "ids"),
    [
        ("Support FAQ", ["Support-FAQ", "Support-FAQ-2", "Support-FAQ-3"]),
        ("Größe & Maß", ["Groe-Ma", "Groe-Ma-2"]),
        ("x" * 70, ["x" * 64, "x" * 62 + "-2"]),
    ],
)
async def test_an_id_is_made_out_of_the_name(stores, title, ids):
    for expected in ids:
        made = await stores.call("POST", STORES, json={"name": title})
        assert (made["id"], made["name"]) == (expected, title)


@pytest.mark.parametrize("body", [None, {}, {"name": None}, {"name": ""}, {"name": "汉字"}])
async def test_an_id_is_generated_where_the_name_gives_none(stores, body):
    made = await stores.call("POST", STORES, json=body)
    assert made["id"].startswith("vs_")
    assert made["name"] == ((body or {}).get("name") or "")


async def test_a_store_is_changed_and_deleted(stores):
    store = await stores.create(metadata={"team": "a"}, description="all of it")
    path = f"{STORES}/{store}"
    assert (await stores.call("GET", path))["description"] == "all of it"
    changed = await stores.call("POST", path, json={"name": "Other", "metadata": {"team": "b"}, "expires_after": None})
    assert (changed["id"], changed["name"], changed["metadata"]) == (store, "Other", {"team": "b"})
    assert changed["description"] == "all of it"
    assert (await stores.call("POST", path, json={}))["metadata"] == {"team": "b"}
    assert await stores.call("DELETE", path) == {"id": store, "object": "vector_store.deleted", "deleted": True}
    assert (await stores.call("GET", path, 404))["error"]["code"] == "collection_not_found"


@pytest.mark.parametrize(
    ("body", "param", "part"),
    [
        ({"expires_after": {"anchor": "last_active_at", "days": 3}}, "expires_after", "do not expire"),
        ({"metadata": {"vector_store": "x"}}, "metadata.vector_store", "reserved"),
        ({"metadata": {str(i): "x" for i in range(17)}}, "metadata", "at most 16"),
        ({"name": "x" * 257}, "name", "at most 256"),
        ({"chunking_strategy": {"type": "static"}}, "chunking_strategy.static", "static"),
        (
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 4000, "chunk_overlap_tokens": 0},
                }
            },
            "chunking_strategy.static.max_chunk_size_tokens",
            "reads",
        ),
    ],
)
async def test_what_a_store_cannot_have_is_refused(stores, body, param, part):
    error = (await stores.call("POST", STORES, 400, json=body))["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert part in error["message"]


async def test_chunking_is_that_of_the_store(stores):
    sizes = {"type": "static", "static": {"max_chunk_size_tokens": 40, "chunk_overlap_tokens": 8}}
    store = await stores.create(chunking_strategy=sizes)
    file = await stores.upload("a.txt", "copy a file")
    assert (await stores.attach(store, file, chunking_strategy=sizes))["chunking_strategy"] == sizes
    await stores.attach(store, file, chunking_strategy={"type": "auto"})
    sizes["static"]["chunk_overlap_tokens"] = 0
    error = (await stores.attach(store, file, 400, chunking_strategy=sizes))["error"]
    assert error["param"] == "chunking_strategy"
    assert "40 tokens" in error["message"]


async def test_attributes_can_be_filtered_on(stores):
    store = await stores.create()
    one = await stores.add(store, "one.txt", "copy a file", attributes={"lang": "en", "year": 2020, "open": True})
    two = await stores.add(store, "two.txt", "copy a file too", attributes={"lang": "de", "year": 2024.5})

    async def ids(filters: Any) -> set[str]:
        return {hit["file_id"] for hit in (await stores.search(store, "copy a file", filters=filters))["data"]}

    assert await ids(None) == {one, two}
    assert await ids({"type": "eq", "key": "lang", "value": "en"}) == {one}
    assert await ids({"type": "gte", "key": "year", "value": 2021}) == {two}
    assert await ids({"type": "eq", "key": "open", "value": True}) == {one}
    assert await ids({"type": "nin", "key": "lang", "value": ["en"]}) == {two}
    either = [{"type": "eq", "key": "lang", "value": "en"}, {"type": "lt", "key": "year", "value": 3000}]
    assert await ids({"type": "or", "filters": either}) == {one, two}
    assert await ids({"type": "and", "filters": either}) == {one}
    changed = await stores.call("POST", f"{STORES}/{store}/files/{one}", json={"attributes": {"lang": "fr"}})
    assert (changed["attributes"], changed["status"]) == ({"lang": "fr"}, "in_progress")
    await stores.work()
    assert (await stores.file(store, one))["status"] == "completed"
    assert await ids({"type": "eq", "key": "lang", "value": "en"}) == set()
    assert await ids({"type": "eq", "key": "lang", "value": "fr"}) == {one}
    assert await ids({"type": "eq", "key": "year", "value": 2020}) == set()


@pytest.mark.parametrize(
    ("attributes", "param"),
    [
        ({str(i): "x" for i in range(17)}, "attributes"),
        ({"a b": "x"}, "attributes.a b"),
        ({"a": "x" * 513}, "attributes.a"),
        ({"a": ["x"]}, "attributes.a"),
        ({"kind": 1}, "attributes.kind"),
    ],
)
async def test_attributes_that_cannot_be_fields_are_refused(stores, attributes, param):
    store = await stores.create()
    file = await stores.add(store, "a.txt", "copy", attributes={"kind": "text"})
    assert (await stores.attach(store, file, 400, attributes=attributes))["error"]["param"] == param


async def test_a_filter_over_what_no_file_has_names_the_place(stores):
    store = await stores.create()
    filters = {"type": "and", "filters": [{"type": "eq", "key": "tone", "value": "x"}]}
    answer = await stores.call("POST", f"{STORES}/{store}/search", 400, json={"query": "a", "filters": filters})
    assert answer["error"]["param"] == "filters.filters[0].key"


async def test_rows_are_one_file(stores):
    store = await stores.create()
    table = "id,text,lang\n7,copy a file,en\n8,the weather,en\n,remove a file,de\n"
    file = await stores.add(store, "rows.csv", table, attributes={"kind": "table"})
    (listed,) = (await stores.call("GET", f"{STORES}/{store}/files"))["data"]
    assert (listed["id"], listed["status"]) == (file, "completed")
    hit = (await stores.search(store, "copy a file"))["data"][0]
    assert (hit["file_id"], hit["filename"], hit["attributes"]) == (file, "rows.csv", {"lang": "en", "kind": "table"})
    assert len((await stores.call("GET", f"{STORES}/{store}/files/{file}/content"))["data"]) == 3
    await stores.call("POST", f"{STORES}/{store}/files/{file}", json={"attributes": {"kind": "list"}})
    await stores.work()
    assert (await stores.search(store, "copy a file"))["data"][0]["attributes"] == {"lang": "en", "kind": "list"}
    await stores.call("DELETE", f"{STORES}/{store}/files/{file}")
    await stores.work()
    assert (await stores.search(store, "copy a file"))["data"] == []
    assert (await stores.call("GET", f"{STORES}/{store}/files"))["data"] == []
    await stores.call("GET", f"/v1/files/{file}")


async def test_files_that_cannot_be_read_say_why(stores):
    store = await stores.create()
    for name, content, code in (
        ("a.bin", b"\0\1", "unsupported_file"),
        ("a.pdf", b"no pdf", "invalid_file"),
        ("a.jsonl", b"{}\n", "invalid_file"),
    ):
        file = await stores.add(store, name, content)
        failed = await stores.file(store, file)
        assert (failed["status"], failed["last_error"]["code"]) == ("failed", code), failed
        assert failed["last_error"]["message"]
    counts = (await stores.call("GET", f"{STORES}/{store}"))["file_counts"]
    assert (counts["failed"], counts["total"]) == (3, 3)
    listed = await stores.call("GET", f"{STORES}/{store}/files", params={"filter": "failed"})
    assert len(listed["data"]) == 3
    assert (await stores.call("GET", f"{STORES}/{store}/files", params={"filter": "completed"}))["data"] == []


async def test_rows_that_are_left_out_are_named(stores):
    store = await stores.create()
    file = await stores.add(store, "a.jsonl", '{"id": "1", "text": "copy a file"}\n{"id": "2"}\n')
    done = await stores.file(store, file)
    assert done["status"] == "completed"
    assert done["last_error"]["message"].startswith("1 rows were left out: a.jsonl:2")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("How to copy\n\nFirst, open it.", "How to copy"),
        ("How to copy\nFirst, open it.", "4983"),
        ("How to copy\n\n", "4983"),
        ("x" * 201 + "\n\ny", "4983"),
    ],
)
async def test_the_first_line_of_a_text_is_its_title_if_it_is_by_itself(stores, text, title):
    store = await stores.create()
    file = await stores.add(store, "4983.txt", text)
    document = (await stores.service.client.get(f"/v1/collections/{store}/documents/{file}")).json()
    assert document["title"] == title
    assert document["text"].startswith(text[:11])


async def test_source_code_is_read_as_text(stores):
    store = await stores.create()
    file = await stores.add(store, "copy.py", "def copy(file): ...")
    assert (await stores.file(store, file))["status"] == "completed"


async def pages(stores: Stores, path: str, **options: Any) -> list[list[str]]:
    """The ids of every page, as OpenAI's client asks for them."""
    found: list[list[str]] = []
    after: dict[str, str] = {}
    while True:
        page = await stores.call("GET", path, params={"limit": 2, **options, **after})
        found.append([each["id"] for each in page["data"]])
        assert page["first_id"] == (found[-1][0] if found[-1] else "")
        if not page["has_more"]:
            return found
        after = {"after": page["data"][-1]["id"]}


async def every_id(stores: Stores, path: str, **options: Any) -> list[str]:
    return [each for page in await pages(stores, path, **options) for each in page]


async def test_lists_are_paged(stores):
    store = await stores.create()
    content = "text\ncopy a file\nand another\n"
    files = sorted([await stores.add(store, f"{i}.csv" if i % 2 else f"{i}.txt", content) for i in range(5)])
    await stores.service.client.post(
        f"/v1/collections/{store}/documents", json={"documents": [{"id": "zz", "text": "own"}]}
    )
    inside = f"{STORES}/{store}/files"
    every = [*files, "zz"]
    assert await pages(stores, inside, order="asc") == [every[:2], every[2:4], every[4:]]
    assert await pages(stores, inside) == [every[:3:-1], every[3:1:-1], every[1::-1]]
    assert await pages(stores, "/v1/files", order="asc") == [files[:2], files[2:4], files[4:]]
    before = await stores.call("GET", inside, params={"order": "asc", "before": every[4], "limit": 2})
    assert ([each["id"] for each in before["data"]], before["has_more"]) == (every[2:4], True)
    for i in range(4):
        await stores.create(f"store{i}")
    names = await every_id(stores, STORES, order="asc")
    assert sorted(names) == ["docs", "store0", "store1", "store2", "store3"]
    assert await every_id(stores, STORES) == names[::-1]


async def test_a_batch_is_followed_and_cancelled(stores):
    store = await stores.create()
    files = [await stores.upload(f"{i}.txt", f"copy file {i}") for i in range(3)]
    path = f"{STORES}/{store}/file_batches"
    batch = await stores.call("POST", path, json={"file_ids": files, "attributes": {"lang": "en"}})
    assert (batch["status"], batch["file_counts"]["in_progress"]) == ("in_progress", 3)
    await stores.work()
    batch = await stores.call("GET", f"{path}/{batch['id']}")
    assert (batch["status"], batch["file_counts"]["completed"], batch["file_counts"]["total"]) == ("completed", 3, 3)
    assert await every_id(stores, f"{path}/{batch['id']}/files", order="asc") == sorted(files)
    more = [{"file_id": await stores.upload("x.txt", "x"), "attributes": {"lang": "de"}}]
    batch = await stores.call("POST", path, json={"files": more})
    cancelled = await stores.call("POST", f"{path}/{batch['id']}/cancel", json={})
    assert (cancelled["status"], cancelled["file_counts"]["cancelled"]) == ("cancelled", 1)
    await stores.work()
    assert (await stores.file(store, more[0]["file_id"]))["status"] == "cancelled"
    for body in ({}, {"file_ids": files, "files": more}):
        assert (await stores.call("POST", path, 400, json=body))["error"]["param"] == "file_ids"
    await stores.call("GET", f"{path}/vsfb_nothing", 404)


async def test_a_deleted_file_leaves_every_store(stores):
    one, two = await stores.create("one"), await stores.create("two")
    file = await stores.add(one, "a.txt", "copy a file")
    await stores.attach(two, file)
    await stores.work()
    assert (await stores.call("DELETE", f"/v1/files/{file}"))["deleted"]
    await stores.work()
    for store in (one, two):
        assert (await stores.search(store, "copy a file"))["data"] == []
        await stores.call("GET", f"{STORES}/{store}/files/{file}", 404)
    await stores.call("GET", f"/v1/files/{file}", 404)
    await stores.call("GET", f"/v1/files/{file}/content", 404)


async def test_a_file_that_is_taken_out_while_it_is_read_leaves_nothing(stores):
    store = await stores.create()
    file = await stores.upload("a.txt", "copy a file")
    await stores.attach(store, file)
    catalog = stores.service.resources.catalog
    claim = await catalog.files.claim(lease_seconds=60)
    await stores.call("DELETE", f"{STORES}/{store}/files/{file}")
    await stores.service.app.state.service.reader.read(claim)
    await stores.work()
    assert (await stores.search(store, "copy a file"))["data"] == []
    assert (await stores.call("GET", f"{STORES}/{store}/files"))["data"] == []


async def test_attributes_that_change_while_a_file_is_read_count(stores):
    store = await stores.create()
    file = await stores.upload("a.txt", "copy a file")
    await stores.attach(store, file, attributes={"lang": "en"})
    claim = await stores.service.resources.catalog.files.claim(lease_seconds=60)
    await stores.call("POST", f"{STORES}/{store}/files/{file}", json={"attributes": {"lang": "de"}})
    await stores.service.app.state.service.reader.read(claim)
    await stores.work()
    assert (await stores.search(store, "copy a file"))["data"][0]["attributes"] == {"lang": "de"}


async def test_a_lease_that_ends_leaves_the_file_to_another_reader(stores):
    store = await stores.create()
    file = await stores.upload("a.txt", "copy a file")
    await stores.attach(store, file)
    files = stores.service.resources.catalog.files
    assert await files.claim(lease_seconds=-1) is not None
    await stores.work()
    assert (await stores.file(store, file))["status"] == "completed"


async def test_a_search_is_ranked_as_asked(stores):
    store = await stores.create()
    await stores.add(store, "a.txt", "copy a file")
    await stores.add(store, "b.txt", "the weather")
    hits = (await stores.search(store, "copy a file", ranking_options={"score_threshold": 0.9}))["data"]
    assert [hit["filename"] for hit in hits] == ["a.txt"]
    assert len((await stores.search(store, "copy a file", max_num_results=1))["data"]) == 1
    for weights in ((1, 1), (0.9, 0.1), (1, 0), (0, 1)):
        options = {"hybrid_search": {"embedding_weight": weights[0], "text_weight": weights[1]}}
        found = (await stores.search(store, "copy a file", ranking_options=options))["data"]
        assert found[0]["filename"] == "a.txt"
    none = {"ranker": "none", "score_threshold": None}
    assert not (await stores.search(store, "sun", search_mode="keyword"))["data"]
    assert (await stores.search(store, "sun", search_mode="vector"))["data"]
    assert (await stores.search(store, "copy a file", ranking_options=none, rewrite_query=None))["data"]
    both = {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}
    await stores.call("POST", f"{STORES}/{store}/search", 400, json={"query": "a", "ranking_options": both})
    found = await stores.search(store, ["copy a file", "the weather"])
    assert found["search_query"] == ["copy a file", "the weather"]
    assert {hit["filename"] for hit in found["data"][:2]} == {"a.txt", "b.txt"}


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"data": {"purpose": "assistants"}, "files": {"other": ("a.txt", b"a")}}, "file"),
        ({"files": {"file": ("a.txt", b"")}}, "file"),
        ({"files": {"file": ("a.txt", b"a")}, "data": {"expires_after[seconds]": "5"}}, "expires_after.seconds"),
        (
            {"files": {"file": ("a.txt", b"a")}, "data": {"expires_after[seconds]": "x"}},
            "expires_after",
        ),
    ],
)
async def test_uploads_that_cannot_be_kept_are_refused(stores, form, param):
    error = (await stores.call("POST", "/v1/files", 400, **form))["error"]
    assert error["param"] == param


async def test_a_file_expires(stores, monkeypatch):
    store = await stores.create()
    expiring = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    file = await stores.upload("a.txt", "copy a file", **expiring)
    view = await stores.call("GET", f"/v1/files/{file}")
    assert view["expires_at"] == view["created_at"] + 3600
    await stores.attach(store, file)
    await stores.work()
    files = stores.service.resources.catalog.files
    later = files.clock
    monkeypatch.setattr(files, "clock", lambda: later() + timedelta(hours=2))
    await stores.call("GET", f"/v1/files/{file}", 404)
    await stores.service.app.state.service.reader.expire()
    await stores.work()
    assert (await stores.search(store, "copy a file"))["data"] == []


async def test_a_large_file_is_kept_in_pieces(stores):
    content = bytes(range(256)) * 4096 * 3
    file = await stores.upload("a.bin", content)
    answer = await stores.client.get(f"/v1/files/{file}/content")
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert json.loads((await stores.client.get(f"/v1/files/{file}")).content)["bytes"] == len(content)
