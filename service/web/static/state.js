"use strict";
/** @import {Collection, FieldFilter, State} from "./types.js" */

const MODES = ["hybrid", "dense", "sparse"];
const SIZES = [5, 10, 20, 50, 100];

/** @returns {State} */
export function initialState() {
  return { query: "", collection: "", mode: "hybrid", rerank: true, groupBy: "document", topN: 10, filters: {} };
}

/** @returns {FieldFilter} */
export function emptyFilter() {
  return { values: [], min: "", max: "" };
}

/** @param {FieldFilter | undefined} filter */
export function isEmpty(filter) {
  return !filter || (filter.values.length === 0 && filter.min === "" && filter.max === "");
}

/**
 * Read the state out of a URL's query. Unknown values fall back to the defaults.
 *
 * @param {string} search for example "?q=dates&f.lang=en&min.year=2020"
 * @returns {State}
 */
export function fromUrl(search) {
  const state = initialState();
  const parameters = new URLSearchParams(search);
  state.query = parameters.get("q") ?? "";
  state.collection = parameters.get("c") ?? "";
  const mode = parameters.get("mode") ?? "";
  if (MODES.includes(mode)) state.mode = /** @type {State["mode"]} */ (mode);
  state.rerank = parameters.get("rerank") !== "off";
  if (parameters.get("group") === "chunk") state.groupBy = "chunk";
  const size = Number(parameters.get("n"));
  if (SIZES.includes(size)) state.topN = size;
  for (const [name, value] of parameters) readFilter(state, name, value);
  return state;
}

/**
 * @param {State} state
 * @param {string} name
 * @param {string} value
 */
function readFilter(state, name, value) {
  const found = /^(f|min|max)\.(.+)$/su.exec(name);
  if (!found || value === "") return;
  const [, kind, key] = found;
  const filter = (state.filters[key] ??= emptyFilter());
  if (kind === "f") filter.values.push(value);
  else filter[/** @type {"min" | "max"} */ (kind)] = value;
}

/**
 * The URL of a state: only what differs from the defaults.
 *
 * @param {State} state
 * @param {boolean} nameCollection whether there is more than one to choose from
 */
export function toUrl(state, nameCollection) {
  const parameters = new URLSearchParams();
  if (state.query) parameters.set("q", state.query);
  if (nameCollection && state.collection) parameters.set("c", state.collection);
  if (state.mode !== "hybrid") parameters.set("mode", state.mode);
  if (!state.rerank) parameters.set("rerank", "off");
  if (state.groupBy !== "document") parameters.set("group", state.groupBy);
  if (state.topN !== 10) parameters.set("n", String(state.topN));
  for (const [key, filter] of Object.entries(state.filters)) {
    for (const value of filter.values) parameters.append(`f.${key}`, value);
    if (filter.min) parameters.set(`min.${key}`, filter.min);
    if (filter.max) parameters.set(`max.${key}`, filter.max);
  }
  const query = parameters.toString();
  return query ? `?${query}` : location.pathname;
}

/**
 * The state's filters without those on fields that the collection does not declare.
 *
 * @param {State} state
 * @param {Collection} collection
 */
export function keepDeclared(state, collection) {
  return Object.fromEntries(Object.entries(state.filters).filter(([key]) => Object.hasOwn(collection.fields, key)));
}
