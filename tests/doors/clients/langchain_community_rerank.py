"""LangChain community's rerankers over Jina and DashScope, whose addresses are fixed in their modules."""

import dashscope
import langchain_community.document_compressors.jina_rerank as jina
from _ask import BASE, DOCUMENTS, KEY, QUERY, say
from langchain_community.document_compressors.dashscope_rerank import DashScopeRerank
from langchain_core.documents import Document

jina.JINA_API_URL = f"{BASE}/v1/rerank"
dashscope.base_http_api_url = f"{BASE}/api/v1"
documents = [Document(text, metadata={"place": place}) for place, text in enumerate(DOCUMENTS)]
rerankers = {
    "jina": jina.JinaRerank(jina_api_key=KEY, top_n=2),
    "dashscope": DashScopeRerank(dashscope_api_key=KEY, top_n=2),
}
orders = {}
for name, reranker in rerankers.items():
    orders[name] = [each.metadata["place"] for each in reranker.compress_documents(documents, QUERY)]
say(orders)
