"""LlamaIndex' interfaces of retrievers and node postprocessors, with ``winnow_client.llama_index``."""

import asyncio

from _ask import BASE, DOCUMENTS, QUERY, say
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode
from winnow_client.llama_index import WinnowRerank, WinnowRetriever

QUESTION = "how to copy a file"

retriever = WinnowRetriever(["guides", "notes"], similarity_top_k=3, options={"expand": 1}, url=BASE)
reranker = WinnowRerank(top_n=2, url=BASE)
found = retriever.retrieve(QUESTION)
awaited = asyncio.run(retriever.aretrieve(QUESTION))
nodes = [NodeWithScore(node=TextNode(text=text, id_=str(i))) for i, text in enumerate(DOCUMENTS)]
say(
    {
        "kinds": [isinstance(retriever, BaseRetriever), isinstance(reranker, BaseNodePostprocessor)],
        "found": [[each.node.metadata["collection"], each.node.get_content(), each.score] for each in found],
        "awaited": [each.node.node_id for each in awaited] == [each.node.node_id for each in found],
        "place": [found[0].node.start_char_idx, found[0].node.end_char_idx, found[0].node.source_node.node_id],
        "shown": found[0].node.get_content(metadata_mode=MetadataMode.LLM),
        "order": [each.node.node_id for each in reranker.postprocess_nodes(nodes, query_str=QUERY)],
        "later": [each.node.node_id for each in asyncio.run(reranker.apostprocess_nodes(nodes, query_str=QUERY))],
        "nothing": reranker.postprocess_nodes([], query_str=QUERY),
    }
)
