"use strict";
/** @import {Analytics, QueryFigures} from "./types.js" */
import { columns, rows } from "./charts.js";
import { count, duration, fill, h, plural } from "./dom.js";
import { notice } from "./notices.js";

const DAY = 86_400_000;
const LAST_POSITION = 20; // what was clicked behind it is one column
const SPEEDS = { instant: "Instant, while typing", full: "Full, two stages" };
const GAP = 24;
const PADDING = 34;
const TWO_BESIDE = 720;

/**
 * All figures of a collection.
 *
 * @param {Analytics} data
 * @param {number} width of the place for them, in pixels
 */
export function report(data, width) {
  const half = width >= TWO_BESIDE ? (width - GAP) / 2 : width;
  const parts = [
    totals(data),
    card("Searches per day", dayChart(data, width - PADDING), dayTable(data), "whole"),
    queries("Top queries", data, data.top_queries, "No queries.", true),
    positions(data, half - PADDING),
    queries("Nothing found", data, data.nothing_found, "Every query found something."),
    queries("Found, but nothing clicked", data, data.nothing_clicked, "Something was clicked for every query that found something."),
    card("Speed", speedChart(data, width - PADDING), speedTable(data), "whole"),
  ];
  const off = !data.enabled && h("p", { class: "off" }, "Recording is switched off; these figures are from before. ", setting());
  return h("div", { class: "report" }, off, ...parts);
}

/** Recording is switched off, and nothing was kept. */
export function switchedOff() {
  return notice(
    "Searches are not recorded here",
    h("p", {}, "What visitors search for and click is kept only where the settings say so. Set this, and start the service again:"),
    h("pre", {}, setting()),
  );
}

/**
 * @param {string} name
 * @param {number} days
 */
export function emptyReport(name, days) {
  return notice(
    `No searches in ${plural(days, "day")}`,
    h("p", {}, `Searches of “${name}” are recorded. They appear here a second after they were answered.`),
  );
}

function setting() {
  return h("code", {}, "WINNOW_ANALYTICS__ENABLED=true");
}

/** @param {Analytics} data */
function totals({ totals: all }) {
  const share = (/** @type {number} */ part) => `${((100 * part) / all.searches).toFixed(1)} %`;
  const facts = [
    ["Searches", count(all.searches), all.sessions ? `in ${plural(all.sessions, "session")}` : ""],
    ["Nothing found", share(all.without_results), count(all.without_results)],
    ["With a click", share(all.clicked), plural(all.clicks, "click")],
    ["Conversions", count(all.conversions), ""],
    ["Degraded", share(all.degraded), all.degraded ? "without the second stage" : ""],
  ];
  const fact = ([name, value, more]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), more && h("span", {}, more)));
  return h("dl", { class: "totals" }, ...facts.map(fact));
}

/**
 * @param {string} title
 * @param {Node} chart
 * @param {HTMLTableElement} table the same figures
 * @param {string} [shape]
 */
function card(title, chart, table, shape = "") {
  const details = h("details", {}, h("summary", {}, "As a table"), scrolled(`${title}, table`, table));
  return h("section", { class: `card ${shape}` }, h("h2", {}, title), h("figure", {}, chart), details);
}

/**
 * Every day of the period, those without a search too.
 *
 * @param {Analytics} data
 */
function everyDay({ days, since, until }) {
  const found = new Map(days.map((day) => [day.day, day]));
  const first = Date.parse(`${since.slice(0, 10)}T00:00:00Z`);
  const length = Math.round((Date.parse(`${until.slice(0, 10)}T00:00:00Z`) - first) / DAY) + 1;
  return Array.from({ length }, (_, at) => {
    const day = new Date(first + at * DAY).toISOString().slice(0, 10);
    return found.get(day) ?? { day, searches: 0, without_results: 0, clicks: 0, conversions: 0 };
  });
}

/**
 * @param {Analytics} data
 * @param {number} width
 */
function dayChart(data, width) {
  const days = everyDay(data);
  const date = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
  const bars = days.map((each) => ({
    name: date.format(new Date(each.day)),
    title: `${each.day}: ${plural(each.searches, "search", "searches")}, ${count(each.without_results)} without results`,
    parts: [
      { value: each.without_results, kind: "lacking" },
      { value: each.searches - each.without_results, kind: "solid" },
    ],
  }));
  const all = plural(data.totals.searches, "search", "searches");
  return h(
    "div",
    {},
    legend([["solid", "with results"], ["lacking", "nothing found"]]),
    columns(`Columns of the searches of each day: ${all} in ${plural(days.length, "day")}.`, bars, width),
  );
}

/** @param {Analytics} data */
function dayTable(data) {
  const cells = data.days.map((day) => [day.day, day.searches, day.without_results, day.clicks, day.conversions]);
  return table("Searches per day (UTC); other days have none", ["Day", "Searches", "Nothing found", "Clicks", "Conversions"], cells);
}

/**
 * @param {Analytics} data
 * @param {number} width
 */
function positions({ click_positions: { mean, counts } }, width) {
  const title = "Click position";
  if (counts.length === 0) return h("section", { class: "card" }, h("h2", {}, title), h("p", { class: "quiet" }, "No clicks."));
  const clicks = new Map();
  for (const each of counts) {
    const at = Math.min(each.position, LAST_POSITION + 1);
    clicks.set(at, (clicks.get(at) ?? 0) + each.clicks);
  }
  const last = Math.max(10, ...clicks.keys());
  const bars = Array.from({ length: last }, (_, at) => {
    const name = at < LAST_POSITION ? String(at + 1) : `${LAST_POSITION + 1}+`;
    const value = clicks.get(at + 1) ?? 0;
    return { name, title: `Position ${name}: ${plural(value, "click")}`, parts: [{ value, kind: "solid" }] };
  });
  const words = `The mean position of a click is ${(mean ?? 0).toFixed(1)}.`;
  const chart = h("div", {}, h("p", { class: "quiet" }, words), columns(`Columns of the clicks at each position. ${words}`, bars, width));
  const cells = counts.map((each) => [each.position, each.clicks]);
  return card(title, chart, table("Clicks by the position of the result", ["Position", "Clicks"], cells));
}

/**
 * @param {Analytics} data
 * @param {number} width
 */
function speedChart({ speed }, width) {
  const bars = speed.map((each) => ({
    name: `${SPEEDS[each.speed]}: ${duration(each.p50_ms)}, 95 % within ${duration(each.p95_ms)}`,
    title: plural(each.searches, "search", "searches"),
    parts: [
      { value: each.p50_ms, kind: "solid" },
      { value: each.p95_ms - each.p50_ms, kind: "faint" },
    ],
  }));
  const words = `Bars of the time that searches took: ${bars.map(({ name }) => name).join("; ")}.`;
  return h("div", {}, legend([["solid", "median"], ["faint", "95 %"]]), rows(words, bars, width, (ms) => (ms ? duration(ms) : "0")));
}

/** @param {Analytics} data */
function speedTable({ speed }) {
  const cells = speed.map((each) => [SPEEDS[each.speed], each.searches, duration(each.p50_ms), duration(each.p95_ms)]);
  return table("Time to answer", ["Speed", "Searches", "Median", "95 %"], cells);
}

/**
 * A list of queries: a table with a bar in each row.
 *
 * @param {string} title
 * @param {Analytics} data
 * @param {QueryFigures[]} found
 * @param {string} otherwise where there are none
 * @param {boolean} [clicked] whether to show clicks
 */
function queries(title, { collection }, found, otherwise, clicked = false) {
  if (found.length === 0) return h("section", { class: "card" }, h("h2", {}, title), h("p", { class: "quiet" }, otherwise));
  const most = Math.max(...found.map((one) => one.searches));
  const cells = found.map((one) => [
    h(
      "span",
      { class: "query" },
      h("a", { href: `./?${new URLSearchParams({ q: one.query, c: collection })}` }, one.query || "(empty)"),
      fill(h("span", { class: "bar", "aria-hidden": "true" }), one.searches / most),
    ),
    one.searches,
    ...(clicked ? [one.clicks, one.position === null ? "–" : one.position.toFixed(1)] : []),
  ]);
  const listed = table(title, ["Query", "Searches", ...(clicked ? ["Clicks", "Mean position"] : [])], cells);
  return h("section", { class: "card" }, h("h2", {}, title), scrolled(title, listed));
}

/**
 * A table that scrolls within its place, by keyboard too.
 *
 * @param {string} label
 * @param {HTMLTableElement} content
 */
function scrolled(label, content) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);
}

/** @param {[string, string][]} entries class and meaning */
function legend(entries) {
  const entry = (/** @type {[string, string]} */ [kind, words]) => h("li", {}, h("i", { class: kind }), words);
  return h("ul", { class: "legend", "aria-hidden": "true" }, ...entries.map(entry));
}

/**
 * @param {string} caption
 * @param {string[]} names of the columns; the first one names its row
 * @param {(Node | string | number)[][]} cells by row
 */
function table(caption, names, cells) {
  const cell = (/** @type {Node | string | number} */ value) => (typeof value === "number" ? count(value) : value);
  const line = (/** @type {(Node | string | number)[]} */ [name, ...values]) =>
    h("tr", {}, h("th", { scope: "row" }, cell(name)), ...values.map((value) => h("td", {}, cell(value))));
  return h(
    "table",
    {},
    h("caption", { class: "sr-only" }, caption),
    h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...cells.map(line)),
  );
}
