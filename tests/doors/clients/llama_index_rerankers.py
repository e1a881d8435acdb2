"""LlamaIndex' rerankers over Cohere, DashScope, Jina and Text Embeddings Inference."""

import dashscope
from _ask import BASE, DOCUMENTS, KEY, QUERY, say
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
from llama_index.postprocessor.dashscope_rerank import DashScopeRerank
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

dashscope.base_http_api_url = f"{BASE}/api/v1"
rerankers = {
    "dashscope": DashScopeRerank(api_key=KEY, top_n=2),
    "cohere": CohereRerank(api_key=KEY, base_url=BASE, top_n=2, model="rerank-v3.5"),
    "jina": JinaRerank(api_key=KEY, base_url=f"{BASE}/v1", top_n=2),
    "tei": TextEmbeddingInference(base_url=BASE, model_name="any", top_n=2),
}
orders = {}
for name, reranker in rerankers.items():
    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(i)), score=0.0) for i, text in enumerate(DOCUMENTS)]
    found = reranker.postprocess_nodes(nodes, QueryBundle(QUERY))
    orders[name] = [int(each.node.node_id) for each in found]
say(orders)
