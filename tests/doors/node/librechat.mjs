// LibreChat's own rerankers, out of the package that it searches the web with. Prints what they return as JSON.
import { createReranker } from "./librechat/dist/esm/tools/search/rerankers.mjs";
const base = process.argv[2];
const documents = ["the weather is fine", "how to copy a file", "a file"];
const logger = { error() {}, warn() {}, info() {}, debug() {} };
const settings = {
  jina: { jinaApiKey: "any-key", jinaApiUrl: `${base}/v1/rerank` },
  cohere: { cohereApiKey: "any-key", cohereApiUrl: `${base}/v2/rerank` },
  "rag-api": { ragApiUrl: base, ragApiTokenSupplier: async () => "any-key" },
};
const found = {};
for (const [rerankerType, addresses] of Object.entries(settings)) {
  const ranked = await createReranker({ rerankerType, logger, ...addresses }).rerank("copy a file", documents, 2);
  found[rerankerType] = ranked.map((each) => [each.text, each.score > 0]);
}
console.log(JSON.stringify(found));
