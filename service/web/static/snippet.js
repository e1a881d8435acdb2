"use strict";
/** @import {Span} from "./types.js" */
import { h } from "./dom.js";

const LENGTH = 300;
const LEAD = 80;

/**
 * The part of a text to show first: around the first highlight, cut at spaces.
 *
 * @param {string[]} points the text's code points
 * @param {Span[]} highlights
 * @returns {Span}
 */
export function excerpt(points, highlights) {
  if (points.length <= LENGTH) return { start: 0, end: points.length };
  const first = highlights[0]?.start ?? 0;
  const latest = points.length - LENGTH;
  let start = Math.min(latest, Math.max(0, first - LEAD));
  if (start < LEAD / 2) start = 0;
  let end = Math.min(points.length, start + LENGTH);
  while (start > 0 && start < first && !/\s/u.test(points[start - 1])) start += 1;
  for (let back = 0; end < points.length && back < LEAD && !/\s/u.test(points[end]); back += 1) end -= 1;
  return { start, end };
}

/**
 * Text nodes and `<mark>`s for a part of a text. Offsets count code points, as the service does.
 *
 * @param {string[]} points
 * @param {Span[]} highlights sorted, not overlapping
 * @param {Span} part
 * @returns {Node[]}
 */
export function marked(points, highlights, part) {
  const nodes = [];
  let at = part.start;
  const plain = (/** @type {number} */ to) => {
    if (to > at) nodes.push(document.createTextNode(points.slice(at, to).join("")));
  };
  for (const { start, end } of highlights) {
    const from = Math.max(start, at);
    const to = Math.min(end, part.end);
    if (to <= from) continue;
    plain(from);
    nodes.push(h("mark", {}, points.slice(from, to).join("")));
    at = to;
  }
  plain(part.end);
  return nodes;
}

/**
 * A result's text: trimmed with a button that shows the rest.
 *
 * @param {string} text
 * @param {Span[]} highlights
 */
export function snippet(text, highlights) {
  const points = Array.from(text);
  const part = excerpt(points, highlights);
  const whole = { start: 0, end: points.length };
  const body = h("p", { class: "text" });
  const more = h("button", { type: "button", class: "more", "aria-expanded": "false", onclick: toggle }, "more");
  more.hidden = part.end - part.start === points.length && !text.trim().includes("\n");

  /** @param {boolean} open */
  function draw(open) {
    const shown = open ? whole : part;
    const nodes = marked(points, highlights, shown);
    body.replaceChildren(shown.start > 0 ? "… " : "", ...nodes, shown.end < points.length ? " …" : "");
    body.classList.toggle("whole", open);
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "less" : "more";
  }
  function toggle() {
    draw(more.getAttribute("aria-expanded") === "false");
  }
  draw(false);
  return h("div", { class: "snippet" }, body, more);
}
