// The clients for Node: Vercel AI SDK (Cohere, OpenAI-compatible), OpenAI, Cohere. Prints what they return as JSON.
import { rerank, embedMany } from "ai";
import { createCohere } from "@ai-sdk/cohere";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import OpenAI from "openai";
import { CohereClientV2 } from "cohere-ai";
const base = process.argv[2];
const query = "copy a file";
const documents = ["the weather is fine", "how to copy a file", "a file"];
const cohere = createCohere({ baseURL: `${base}/v2`, apiKey: "any-key" });
const found = await rerank({ model: cohere.reranking("rerank-v3.5"), query, documents, topN: 2 });
const objects = await rerank({ model: cohere.reranking("rerank-v3.5"), query, documents: documents.map((text) => ({ text })) });
const compatible = createOpenAICompatible({ name: "winnow", baseURL: `${base}/v1`, apiKey: "any-key" });
const embedded = await embedMany({ model: compatible.textEmbeddingModel("any"), values: documents });
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "any-key", maxRetries: 0 });
const vectors = await openai.embeddings.create({ model: "any", input: documents });
let error = null;
try { await openai.embeddings.create({ model: "any", input: [] }); } catch (caught) { error = [caught.status, caught.error.message]; }
const own = await new CohereClientV2({ token: "any-key", environment: base }).rerank({ model: "any", query, documents, topN: 2 });
console.log(JSON.stringify({
  sdk: found.ranking.map((each) => each.originalIndex), objects: objects.ranking.map((each) => each.originalIndex),
  embedded: embedded.embeddings.map((each) => each.length), openai: vectors.data.map((each) => each.embedding.length), error,
  cohere: own.results.map((each) => each.index),
}));
