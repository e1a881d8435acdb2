"""OpenAI's client, and what is built on it: LangChain's and LlamaIndex' embeddings."""

import openai
from _ask import BASE, DOCUMENTS, KEY, say
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai_like import OpenAILikeEmbedding

client = openai.OpenAI(api_key=KEY, base_url=f"{BASE}/v1", max_retries=0)
found = client.embeddings.create(model="text-embedding-3-small", input=DOCUMENTS)
plain = client.embeddings.create(model="text-embedding-3-small", input=DOCUMENTS, encoding_format="float")
short = client.embeddings.create(model="text-embedding-3-small", input="a", dimensions=16)
try:
    client.embeddings.create(model="text-embedding-3-small", input=[])
    error = None
except openai.BadRequestError as caught:
    error = [caught.message, caught.param]
try:
    client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}])
    chat = None
except openai.NotFoundError as caught:
    chat = [caught.status_code, caught.code]

settings = {"api_key": KEY, "base_url": f"{BASE}/v1", "model": "text-embedding-3-small", "max_retries": 0}
texts = OpenAIEmbeddings(**settings, check_embedding_ctx_length=False).embed_documents(DOCUMENTS)


class Ids(OpenAIEmbeddings):
    """As LangChain's are by default, without the download of a vocabulary: it sends token ids."""

    def _tokenize(self, texts, chunk_size):
        ids = [[1000 + i] for i in range(len(texts))]
        return range(0, len(texts), chunk_size), ids, list(range(len(texts))), [1] * len(texts)


try:
    Ids(**settings).embed_documents(DOCUMENTS)
    ids = None
except openai.BadRequestError as caught:
    ids = caught.message
like = OpenAILikeEmbedding(model_name="any", api_base=f"{BASE}/v1", api_key=KEY)
say(
    {
        "base64": [each.embedding for each in found.data],
        "float": [each.embedding for each in plain.data],
        "short": len(short.data[0].embedding),
        "tokens": found.usage.total_tokens,
        "error": error,
        "models": [client.models.retrieve(each.id).id for each in client.models.list()],
        "chat": chat,
        "langchain": texts,
        "ids": ids,
        "llama_index": like.get_text_embedding_batch(DOCUMENTS),
    }
)
