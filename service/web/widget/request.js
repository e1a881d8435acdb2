import { Refusal, send } from "./client.js";
import { filterOf } from "./results.js";

/** @param {any} search the element @returns {string} the service's address, with a slash at its end */
export function baseOf(search) {
  const own = new URL("../", import.meta.url);
  return new URL(search.getAttribute("endpoint")?.replace(/\/*$/u, "/") || own, document.baseURI).href;
}

/**
 * The keys of the attribute `facets` with their headings.
 *
 * @param {any} search
 * @returns {Map<string, string>}
 */
export function facetLabels(search) {
  const parts = (search.getAttribute("facets") ?? "").split(",").map((/** @type {string} */ one) => one.trim());
  return new Map(parts.filter(Boolean).map((/** @type {string} */ one) => (one.includes(":") ? one.split(/:(.*)/su) : [one, one])));
}

/** @param {any} search @returns {Record<string, unknown>} the request that asks for what the element shows */
export function bodyOf(search) {
  const own = search.getAttribute("filter");
  const filter = filterOf(own ? JSON.parse(own) : null, search.chosen);
  const keys = [...facetLabels(search).keys()];
  const session = search.getAttribute("session");
  return {
    query: search.query.trim(),
    top_n: Number(search.getAttribute("results")) || 8,
    highlight: true,
    ...(filter && { filter }),
    ...(session && { session }),
    ...(keys.length && { facets: keys, disjunctive: true }),
    ...search.params,
  };
}

/**
 * Send a search; with a new token once, where the page can fetch one and the old one is refused.
 *
 * @param {any} search
 * @param {object} part members beside those of `bodyOf`
 * @param {AbortSignal} signal
 */
export async function ask(search, part, signal) {
  const url = `${baseOf(search)}v1/collections/${encodeURIComponent(search.getAttribute("collection"))}/search`;
  const { provider } = search;
  if (provider && !search.fetched) search.fetched = await provider();
  const body = { ...bodyOf(search), ...part };
  try {
    return await send(url, search.token, signal, body);
  } catch (error) {
    if (!provider || !(error instanceof Refusal) || error.kind !== "token") throw error;
    search.fetched = await provider();
    return send(url, search.token, signal, body);
  }
}
