"""Cohere's newest client, its second API."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(sys.prefix) / "newest"))

import cohere
from _ask import BASE, DOCUMENTS, KEY, QUERY, say

client = cohere.ClientV2(api_key=KEY, base_url=BASE)
found = client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, top_n=2)
twice = cohere.ClientV2(api_key=KEY, base_url=f"{BASE}/v2")  # users append the version themselves
again = twice.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS)
text = f"{DOCUMENTS[0]}. 🎉 {DOCUMENTS[1].capitalize()}. {DOCUMENTS[0].capitalize()}."
spans = cohere.RerankRelevantSpans(mode="enabled", threshold=0.9)
(spanned,) = client.rerank(model="rerank-v3.5", query=QUERY, documents=[text], relevant_spans=spans).results
embedded = client.embed(texts=DOCUMENTS, model="embed-v4.0", input_type="search_document", embedding_types=["float"])
try:
    client.rerank(model="rerank-v3.5", query=QUERY, documents=[])
    error = None
except cohere.errors.BadRequestError as caught:
    error = caught.body["message"]
say(
    {
        "order": [each.index for each in found.results],
        "scores": [each.relevance_score for each in found.results],
        "again": [each.index for each in again.results],
        "vectors": len(embedded.embeddings.float_),
        "spans": [[text[each.start : each.end], each.score] for each in spanned.relevant_spans],
        "error": error,
    }
)
