"use strict";
/** @import {Collection, FieldFilter, FieldType, State} from "./types.js" */
import { searchPath } from "./api.js";

/**
 * The body of the search request that a state asks for.
 *
 * @param {State} state
 * @param {Collection} collection
 * @returns {Record<string, unknown>}
 */
export function requestBody(state, collection) {
  const filters = Object.entries(state.filters).flatMap(([key, chosen]) =>
    conditions(key, collection.fields[key], chosen),
  );
  return {
    query: state.query.trim(),
    top_n: state.topN,
    ...(state.mode !== "hybrid" && { mode: state.mode }),
    ...(!state.rerank && { rerank: false }),
    ...(state.groupBy !== "document" && { group_by: state.groupBy }),
    ...(filters.length === 1 && { filter: filters[0] }),
    ...(filters.length > 1 && { filter: { type: "and", filters } }),
    highlight: true,
  };
}

/**
 * @param {string} key
 * @param {FieldType} type
 * @param {FieldFilter} chosen
 */
function conditions(key, type, chosen) {
  const found = [];
  if (type === "keyword" && chosen.values.length) found.push({ type: "in", key, value: chosen.values });
  if (type === "boolean" && chosen.values.length) found.push({ type: "eq", key, value: chosen.values[0] === "true" });
  if (type === "datetime") {
    if (chosen.min) found.push({ type: "gte", key, value: `${chosen.min}T00:00:00Z` });
    if (chosen.max) found.push({ type: "lt", key, value: `${dayAfter(chosen.max)}T00:00:00Z` });
  }
  if (type === "integer" || type === "float") {
    if (chosen.min) found.push({ type: "gte", key, value: Number(chosen.min) });
    if (chosen.max) found.push({ type: "lte", key, value: Number(chosen.max) });
  }
  return found;
}

/** @param {string} day "2024-02-28", the last day that is meant */
function dayAfter(day) {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}

/**
 * The same search for a shell. The key stays out of it.
 *
 * @param {string} name the collection
 * @param {Record<string, unknown>} body
 * @param {boolean} withKey
 */
export function curlCommand(name, body, withKey) {
  const quote = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [
    `curl -s ${quote(new URL(searchPath(name), document.baseURI).href)}`,
    "-H 'Content-Type: application/json'",
    ...(withKey ? ['-H "Authorization: Bearer $WINNOW_API_KEY"'] : []),
    `-d ${quote(JSON.stringify(body))}`,
  ];
  return lines.join(" \\\n  ");
}
