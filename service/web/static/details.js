"use strict";
/** @import {Answer, Collection, FieldType, Result} from "./types.js" */
import { marked } from "../widget/dom.js";
import { excerpt } from "../widget/links.js";
import { score } from "../widget/results.js";
import { fill, h } from "./dom.js";
import { movement, trace } from "./trace.js";

/**
 * What the page adds to a result: its score, how it moved, its metadata, its whole text.
 *
 * @param {Result} result
 * @param {Answer} answer
 * @param {Collection} collection
 * @param {(key: string, value: string) => void} filterBy
 */
export function details(result, answer, collection, filterBy) {
  const steps = trace(result, answer);
  const whole = wholeText(result);
  const facts = [movement(result, steps), whole?.button, ...chips(result, collection, filterBy)];
  const rank = h("span", { class: "rank", "aria-label": `Rank ${result.rank}` }, String(result.rank));
  return h("div", { class: "details" }, rank, relevance(result, answer), h("div", { class: "facts" }, ...facts), steps, whole?.text);
}

/**
 * @param {Result} result
 * @param {Answer} answer
 */
function relevance(result, answer) {
  const best = Math.max(0, ...answer.results.map((one) => one.retrieval_score));
  const scored = result.relevance_score !== null;
  const value = scored ? Number(result.relevance_score) : result.retrieval_score;
  const label = scored ? "relevance" : "retrieval";
  const why = scored
    ? "Relevance from the second stage, 0 to 1"
    : answer.score_kind === "relevance"
      ? "Not scored by the second stage: this is the first stage's score"
      : "The first stage's score; the bar compares with the best of this page";
  return h(
    "div",
    { class: `relevance ${label}`, title: why },
    h("span", { class: "number" }, scored ? value.toFixed(2) : score(value)),
    h("span", { class: "label" }, label),
    fill(h("span", { class: "bar" }), scored ? value : value / (best || 1)),
  );
}

/**
 * The text with its lines, and the button that shows it; null where the result shows all of it.
 *
 * @param {Result} result
 */
function wholeText({ text, highlights = [] }) {
  const points = Array.from(text ?? "");
  const { start, end } = excerpt(points, highlights);
  if (end - start === points.length && !text?.trim().includes("\n")) return null;
  const body = h("p", { class: "whole", hidden: true }, ...marked(points, highlights, { start: 0, end: points.length }));
  const button = h("button", { type: "button", class: "more", "aria-expanded": "false", onclick: toggle }, "whole text");
  function toggle() {
    body.hidden = !body.hidden;
    button.setAttribute("aria-expanded", String(!body.hidden));
  }
  return { text: body, button };
}

/**
 * Metadata of declared fields, each a button that filters by its value.
 *
 * @param {Result} result
 * @param {Collection} collection
 * @param {(key: string, value: string) => void} filterBy
 */
function chips(result, { fields }, filterBy) {
  return Object.keys(fields).flatMap((key) =>
    [result.metadata?.[key]]
      .flat()
      .filter((one) => one !== null && one !== undefined && one !== "")
      .map((one) => chip(key, String(one), readable(fields[key], String(one)), filterBy)),
  );
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
    h("span", { class: "key" }, `${key}:`),
    words,
  );
}
