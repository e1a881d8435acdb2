"""LiteLLM, as Cohere's, Jina's and OpenAI's client."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks GitHub for prices

import litellm
from _ask import BASE, DOCUMENTS, KEY, QUERY, say

orders = {}
for provider, address in (("cohere", f"{BASE}/v2/rerank"), ("jina_ai", f"{BASE}/v1/rerank")):
    found = litellm.rerank(
        model=f"{provider}/any", query=QUERY, documents=DOCUMENTS, top_n=2, api_key=KEY, api_base=address
    )
    orders[provider] = [each["index"] for each in found.results]
embedded = litellm.embedding(model="openai/any", input=DOCUMENTS, api_key=KEY, api_base=f"{BASE}/v1")
say({**orders, "vectors": len(embedded.data)})
