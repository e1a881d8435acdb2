"use strict";
/** @import {Answer, Collection, FieldType, Result} from "./types.js" */
import { fill, h, score } from "./dom.js";
import { snippet } from "./snippet.js";
import { movement, trace } from "./trace.js";

/**
 * @typedef {object} Context
 * @property {Answer} answer
 * @property {Collection} collection
 * @property {number} best the highest retrieval score of the answer, for bars on that open scale
 * @property {(key: string, value: string) => void} filterBy
 */

/**
 * Show an answer's results; those that were there before slide to their new places.
 *
 * @param {HTMLOListElement} list
 * @param {Answer} answer
 * @param {Collection} collection
 * @param {(key: string, value: string) => void} filterBy
 */
export function showResults(list, answer, collection, filterBy) {
  const before = places(list);
  const best = Math.max(0, ...answer.results.map((result) => result.retrieval_score));
  const context = { answer, collection, best, filterBy };
  list.setAttribute("aria-label", `Results for “${answer.query}”`);
  list.replaceChildren(...answer.results.map((result) => resultItem(result, context)));
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) slide(list, before);
}

/** @param {HTMLOListElement} list */
function places(list) {
  const items = /** @type {HTMLElement[]} */ (Array.from(list.children));
  return new Map(items.map((item) => [item.dataset.key, item.offsetTop]));
}

/**
 * @param {HTMLOListElement} list
 * @param {Map<string | undefined, number>} before
 */
function slide(list, before) {
  for (const item of /** @type {HTMLElement[]} */ (Array.from(list.children))) {
    const from = before.get(item.dataset.key);
    const distance = from === undefined ? 0 : from - item.offsetTop;
    if (distance === 0 || Math.abs(distance) > innerHeight) continue;
    item.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], {
      duration: 220,
      easing: "cubic-bezier(.2,.7,.2,1)",
    });
  }
}

/**
 * @param {Result} result
 * @param {Context} context
 */
function resultItem(result, context) {
  const details = trace(result, context.answer);
  return h(
    "li",
    { class: "result", "data-key": `${result.document_id} ${result.chunk.index}` },
    h("span", { class: "rank", "aria-label": `Rank ${result.rank}` }, String(result.rank)),
    h(
      "article",
      {},
      h("header", {}, h("div", {}, title(result), breadcrumb(result)), relevance(result, context)),
      result.text ? snippet(result.text, result.highlights ?? []) : null,
      h("div", { class: "facts" }, movement(result, details), ...chips(result, context)),
      details,
    ),
  );
}

/** @param {Result} result */
function title(result) {
  const text = result.title || result.document_id;
  const url = safeUrl(result.url);
  const inner = url
    ? h("a", { class: "title", href: url, rel: "noopener noreferrer" }, text)
    : h("span", { class: "title", tabindex: "0" }, text);
  return h("h3", { title: text === result.document_id ? null : result.document_id }, inner);
}

/**
 * A link that is safe to follow, or "": only http, https and relative addresses.
 *
 * @param {string | null | undefined} url
 */
export function safeUrl(url) {
  if (!url || !URL.canParse(url, location.href)) return "";
  return /^https?:$/u.test(new URL(url, location.href).protocol) ? url : "";
}

/** @param {Result} result */
function breadcrumb(result) {
  const path = (result.chunk.headings ?? []).filter((heading) => heading && heading !== result.title);
  if (path.length === 0) return null;
  const items = path.map((heading) => h("li", {}, heading));
  return h("ol", { class: "crumbs", "aria-label": "Under the headings" }, ...items);
}

/**
 * @param {Result} result
 * @param {Context} context
 */
function relevance(result, { best, answer }) {
  const scored = result.relevance_score !== null;
  const value = scored ? Number(result.relevance_score) : result.retrieval_score;
  const label = scored ? "relevance" : "retrieval";
  const why = scored
    ? "Relevance from the second stage, 0 to 1"
    : answer.score_kind === "relevance"
      ? "Not scored by the second stage: this is the first stage's score"
      : "The first stage's score; the bar compares with the best of this page";
  const bar = fill(h("span", { class: "bar" }), scored ? value : value / (best || 1));
  return h(
    "div",
    { class: `relevance ${label}`, title: why },
    h("span", { class: "number" }, scored ? value.toFixed(2) : score(value)),
    h("span", { class: "label" }, label),
    bar,
  );
}

/**
 * Metadata of declared fields, each a button that filters by its value.
 *
 * @param {Result} result
 * @param {Context} context
 */
function chips(result, { collection, filterBy }) {
  return Object.keys(collection.fields).flatMap((key) => {
    const value = result.metadata?.[key];
    const values = Array.isArray(value) ? value : [value];
    return values
      .filter((one) => one !== null && one !== undefined && one !== "")
      .map((one) => chip(key, String(one), readable(collection.fields[key], String(one)), filterBy));
  });
}

/**
 * @param {FieldType} type
 * @param {string} value
 */
function readable(type, value) {
  if (type === "boolean") return value === "true" ? "yes" : "no";
  return type === "datetime" ? value.slice(0, 10) : value;
}

/**
 * @param {string} key
 * @param {string} value
 * @param {string} words the value as it is shown
 * @param {(key: string, value: string) => void} filterBy
 */
function chip(key, value, words, filterBy) {
  const name = `Filter by ${key}: ${words}`;
  const onclick = () => filterBy(key, value);
  return h(
    "button",
    { type: "button", class: "chip", title: name, "aria-label": name, onclick },
    h("span", { class: "key" }, key),
    words,
  );
}
