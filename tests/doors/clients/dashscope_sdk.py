"""DashScope's SDK: reranking, embeddings, and its refusal of images."""

import dashscope
from _ask import BASE, DOCUMENTS, KEY, QUERY, say

dashscope.api_key = KEY
dashscope.base_http_api_url = f"{BASE}/api/v1"
found = dashscope.TextReRank.call(
    model="gte-rerank-v2", query=QUERY, documents=DOCUMENTS, top_n=2, return_documents=True
)
image = dashscope.TextReRank.call(
    model="qwen3-vl-rerank", query={"image": "https://example.com/a.png"}, documents=["a"]
)
embedded = dashscope.TextEmbedding.call(model="text-embedding-v4", input=DOCUMENTS, dimension=16)
say(
    {
        "status": found.status_code,
        "order": [each["index"] for each in found.output["results"]],
        "texts": [each["document"]["text"] for each in found.output["results"]],
        "image": [image.status_code, image.code, image.message],
        "sizes": [len(each["embedding"]) for each in embedded.output["embeddings"]],
    }
)
