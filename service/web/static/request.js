"use strict";
/** @import {Collection, FieldFilter, FieldType, State} from "./types.js" */
import { searchPath } from "./api.js";

/**
 * What a state adds to the element's request.
 *
 * @param {State} state
 * @returns {Record<string, unknown>}
 */
export function members({ mode, rerank, groupBy }) {
  return {
    ...(mode !== "hybrid" && { mode }),
    ...(!rerank && { rerank }),
    ...(groupBy !== "document" && { group_by: groupBy }),
  };
}

/**
 * The filter for the ranges that are chosen, or null.
 *
 * @param {State} state
 * @param {Collection} collection
 */
export function ranges(state, collection) {
  const filters = Object.entries(state.filters).flatMap(([key, chosen]) => bounds(key, collection.fields[key], chosen));
  return filters.length > 1 ? { type: "and", filters } : (filters[0] ?? null);
}

/**
 * @param {string} key
 * @param {FieldType} type
 * @param {FieldFilter} chosen
 */
function bounds(key, type, { min, max }) {
  const found = [];
  if (type === "datetime") {
    if (min) found.push({ type: "gte", key, value: `${min}T00:00:00Z` });
    if (max) found.push({ type: "lt", key, value: `${dayAfter(max)}T00:00:00Z` });
  }
  if (type === "integer" || type === "float") {
    if (min) found.push({ type: "gte", key, value: Number(min) });
    if (max) found.push({ type: "lte", key, value: Number(max) });
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
