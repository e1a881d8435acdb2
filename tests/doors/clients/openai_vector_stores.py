"""OpenAI's client: vector stores with files, batches, search, pages and errors, and a chat loop that searches."""

import json

import openai
from _ask import BASE, KEY, say

client = openai.OpenAI(api_key=KEY, base_url=f"{BASE}/v1", max_retries=0)
stores = client.vector_stores


def uploaded(name, text):
    """A file as the client takes it."""
    return (name, text.encode())


def messages_of(model, question):
    """A chat that calls the search as a tool, as a model would write its messages."""
    messages = [{"role": "user", "content": question}]
    while True:
        message = model(messages)
        messages.append(message)
        if "tool_calls" not in message:
            return messages
        for call in message["tool_calls"]:
            found = stores.search(store.id, **json.loads(call["arguments"]))
            cited = [{"file": hit.filename, "text": hit.content[0].text} for hit in found.data]
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(cited)})


def scripted(messages):
    """Searches once, then answers with the best passage and its file."""
    if messages[-1]["role"] == "tool":
        best = json.loads(messages[-1]["content"])[0]
        return {"role": "assistant", "content": f"{best['text']} [{best['file']}]"}
    arguments = json.dumps({"query": messages[-1]["content"], "max_num_results": 3})
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "arguments": arguments}]}


store = stores.create(name="Support FAQ", description="questions", metadata={"team": "a"})
polled = stores.files.upload_and_poll(vector_store_id=store.id, file=uploaded("copy.txt", "how to copy a file"))
kept = client.files.create(file=uploaded("rain.txt", "the weather is fine"), purpose="assistants")
created = stores.files.create_and_poll(
    kept.id, vector_store_id=store.id, attributes={"lang": "en", "year": 2020, "open": True}
)
batch = stores.file_batches.upload_and_poll(
    store.id, files=[uploaded(f"{i}.md", f"# Note {i}\n\nnote number {i}") for i in range(5)]
)
broken = stores.files.upload_and_poll(vector_store_id=store.id, file=uploaded("a.bin", "x"))
filters = {"type": "eq", "key": "lang", "value": "en"}
narrowed = stores.search(store.id, query="weather", filters=filters, max_num_results=5)
hybrid = {"ranker": "auto", "score_threshold": 0.1, "hybrid_search": {"embedding_weight": 0.7, "text_weight": 0.3}}
found = stores.search(store.id, query=["copy a file"], ranking_options=hybrid, rewrite_query=False)
changed = stores.files.update(created.id, vector_store_id=store.id, attributes={"lang": "de"})
again = stores.files.poll(created.id, vector_store_id=store.id)
content = stores.files.content(created.id, vector_store_id=store.id)
for i in range(3):
    stores.create(name=f"page-{i}")

errors = {}
for name, call in {
    "missing": lambda: stores.retrieve("nothing"),
    "filter": lambda: stores.search(store.id, query="a", filters={"type": "eq", "key": "tone", "value": "x"}),
    "file": lambda: stores.files.create(store.id, file_id="file-nothing"),
    "expiry": lambda: stores.create(name="x", expires_after={"anchor": "last_active_at", "days": 1}),
}.items():
    try:
        call()
    except openai.APIStatusError as error:
        errors[name] = [error.status_code, error.message, error.param, error.code]

say(
    {
        "store": store.id,
        "polled": [polled.status, polled.vector_store_id],
        "created": [created.status, created.attributes],
        "batch": [batch.status, batch.file_counts.completed, batch.file_counts.total],
        "batch_files": len(list(stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=2))),
        "broken": [broken.status, broken.last_error.code],
        "narrowed": [[hit.file_id, hit.filename, hit.attributes] for hit in narrowed.data],
        "kept": kept.id,
        "found": [found.data[0].filename, found.data[0].score, found.data[0].content[0].text],
        "changed": [changed.attributes, again.status],
        "content": [part.text for part in content.data],
        "raw": client.files.content(kept.id).read().decode(),
        "files": len(list(stores.files.list(store.id, limit=3))),
        "uploads": len(list(client.files.list(limit=3))),
        "stores": [each.id for each in stores.list(limit=2) if each.id.startswith("page-")],
        "counts": stores.retrieve(store.id).file_counts.to_dict(),
        "removed": stores.files.delete(created.id, vector_store_id=store.id).deleted,
        "deleted": client.files.delete(kept.id).deleted,
        "answer": messages_of(scripted, "how do I copy a file?")[-1]["content"],
        "errors": errors,
        "gone": [stores.delete(f"page-{i}").deleted for i in range(3)],
    }
)
