"""LangChain's reranker over Cohere."""

from _ask import BASE, DOCUMENTS, KEY, QUERY, say
from langchain_cohere import CohereRerank
from langchain_core.documents import Document

compressor = CohereRerank(cohere_api_key=KEY, base_url=BASE, model="rerank-v3.5", top_n=2)
found = compressor.compress_documents([Document(text) for text in DOCUMENTS], QUERY)
say({"order": [DOCUMENTS.index(each.page_content) for each in found]})
