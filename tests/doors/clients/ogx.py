"""OGX's client, which checks every answer against its own models: vector stores, files, search, models, embeddings."""

import sys
from pathlib import Path
from time import sleep

sys.path.insert(0, str(Path(sys.prefix) / "newest"))

from _ask import BASE, DOCUMENTS, KEY, QUERY, say
from ogx_client import Configuration, OgxClient
from ogx_client.exceptions import NotFoundException

client = OgxClient(Configuration(host=BASE), api_key=KEY)
stores = client.vector_stores
empty = stores.list(after="guides", order="desc", limit=1)
store = stores.create(name="OGX", metadata={"team": "a"})
ids = []
for place, text in enumerate(DOCUMENTS):
    file = client.files.create(file=(f"{place}.txt", text.encode()), purpose="assistants")
    made = stores.files.create(vector_store_id=store.id, file_id=file.id, attributes={"place": place})
    while made.status == "in_progress":
        sleep(0.05)
        made = stores.files.retrieve(vector_store_id=store.id, file_id=file.id)
    ids.append(made.id)
orders = {}
for mode in ("vector", "keyword", "hybrid"):
    ranking = {"ranker": "weighted", "alpha": 0.7, "impact_factor": 60.0, "score_threshold": 0.0}
    found = stores.search(
        vector_store_id=store.id, query=QUERY, search_mode=mode, max_num_results=2, ranking_options=ranking
    )
    orders[mode] = [ids.index(hit.file_id) for hit in found.data]
try:
    stores.search(vector_store_id="nothing", query=QUERY)
    error = None
except NotFoundException as caught:
    error = str(caught)
say(
    {
        "store": store.id,
        "orders": orders,
        "attributes": found.data[0].attributes["place"],
        "text": found.data[0].content[0].text,
        "stores": [each.id for each in stores.list(limit=1).data],
        "files": [each.id in ids for each in stores.files.list(vector_store_id=store.id).data],
        "models": [each.id for each in client.models.list().data],
        "vectors": len(client.embeddings.create(model="any", input=DOCUMENTS).data),
        "deleted": stores.delete(vector_store_id=store.id).deleted,
        "error": error,
    }
)
