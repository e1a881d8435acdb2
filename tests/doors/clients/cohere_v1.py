"""Cohere's client, its first API."""

import cohere
from _ask import BASE, DOCUMENTS, KEY, QUERY, say

client = cohere.Client(api_key=KEY, base_url=BASE)
mixed = [DOCUMENTS[0], {"text": DOCUMENTS[1]}, {"text": DOCUMENTS[2]}]
found = client.rerank(model="rerank-v3.5", query=QUERY, documents=mixed, return_documents=True)
fields = client.rerank(
    model="rerank-v3.5",
    query=QUERY,
    documents=[{"title": QUERY, "body": "nothing"}, {"title": "nothing", "body": "at all"}],
    rank_fields=["title", "body"],
)
say(
    {
        "order": [each.index for each in found.results],
        "texts": [each.document.text for each in found.results],
        "fields": [each.index for each in fields.results],
    }
)
