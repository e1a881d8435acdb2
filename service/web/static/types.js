"use strict";
/**
 * Shapes that cross the modules of the page. The answer's shapes are those of `POST /v1/collections/{name}/search`.
 *
 * @typedef {"keyword" | "integer" | "float" | "datetime" | "boolean"} FieldType
 * @typedef {{documents: number, chunks: number, pending: number, failed: number}} Counts
 * @typedef {{name: string, fields: Record<string, FieldType>, counts: Counts}} Collection
 *
 * @typedef {{values: string[], min: string, max: string}} FieldFilter what the person chose for one field
 * @typedef {"hybrid" | "dense" | "sparse"} Mode
 * @typedef {"document" | "chunk"} GroupBy
 * @typedef {object} State what the page shows; the URL holds all of it
 * @property {string} query
 * @property {string} collection
 * @property {Mode} mode
 * @property {boolean} rerank
 * @property {GroupBy} groupBy
 * @property {number} topN
 * @property {Record<string, FieldFilter>} filters
 *
 * @typedef {{start: number, end: number}} Span half-open range of characters (code points)
 * @typedef {{rank: number, score: number}} ArmScore
 * @typedef {object} Result
 * @property {number} rank
 * @property {string} document_id
 * @property {string} title
 * @property {string} url
 * @property {{index: number, start: number, end: number, headings: string[]}} chunk
 * @property {string | null} [text]
 * @property {Span[]} [highlights]
 * @property {Record<string, unknown>} metadata
 * @property {"title" | "id" | "heading" | "identifier" | null} [exact] what the query is the name of
 * @property {number | null} relevance_score
 * @property {number} retrieval_score
 * @property {{dense?: ArmScore | null, sparse?: ArmScore | null, fused: ArmScore, rerank?: ArmScore | null}} stages
 *
 * @typedef {object} StageReport
 * @property {"ok" | "cached" | "skipped" | "timeout" | "failed"} status
 * @property {number} ms
 * @property {string | null} [model]
 * @property {string | null} [engine]
 * @property {string | null} [reason]
 * @property {boolean} [cached]
 * @property {number} [candidates]
 * @property {number} [scored]
 *
 * @typedef {object} Answer
 * @property {string} id
 * @property {string} collection
 * @property {string} query
 * @property {Result[]} results
 * @property {"instant" | "full"} speed
 * @property {"relevance" | "retrieval"} score_kind
 * @property {boolean} degraded
 * @property {{embed: StageReport, retrieve: StageReport, rerank: StageReport}} stages
 * @property {number} took_ms
 * @property {{probability: number, threshold: number, calibrated_on: string}} [answerable]
 *
 * @typedef {{query: string, searches: number, clicks: number, position: number | null}} QueryFigures
 * @typedef {{day: string, searches: number, without_results: number, clicks: number, conversions: number}} DayFigures
 * @typedef {object} Analytics of `GET /v1/collections/{name}/analytics`
 * @property {string} collection
 * @property {boolean} enabled whether searches are recorded now
 * @property {string} since
 * @property {string} until
 * @property {{searches: number, without_results: number, clicked: number, degraded: number, sessions: number, clicks: number, conversions: number}} totals
 * @property {DayFigures[]} days those with a search, in UTC
 * @property {QueryFigures[]} top_queries
 * @property {QueryFigures[]} nothing_found
 * @property {QueryFigures[]} nothing_clicked
 * @property {{mean: number | null, counts: {position: number, clicks: number}[]}} click_positions
 * @property {{speed: "instant" | "full", searches: number, p50_ms: number, p95_ms: number}[]} speed
 */
export {};
