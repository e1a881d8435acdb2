"""Hugging Face's client of Text Embeddings Inference."""

from _ask import BASE, DOCUMENTS, KEY, say
from huggingface_hub import InferenceClient

client = InferenceClient(BASE, token=KEY)
vectors = client.feature_extraction(DOCUMENTS[1], normalize=True, truncate=True)
similar = client.sentence_similarity("how to copy a file", other_sentences=DOCUMENTS)
say({"shape": list(vectors.shape), "closest": similar.index(max(similar))})
