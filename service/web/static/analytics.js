"use strict";
/** @import {Analytics, Collection} from "./types.js" */
import { getAnalytics, listCollections } from "./api.js";
import { showCollections } from "./collections.js";
import { byId } from "./dom.js";
import { emptyReport, report, switchedOff } from "./figures.js";
import { failure, noCollections, noSuchCollection } from "./notices.js";
import { bindTheme } from "./theme.js";

const PERIODS = [7, 30, 90, 365];
const USUAL = 30;

const place = byId("report", HTMLElement);
const picker = byId("collection", HTMLSelectElement);
/** @type {Collection[]} */
let collections = [];
let asked = 0; // answers to all but the newest request are dropped
/** @type {Analytics | null} */
let shown = null;

/** What the address asks for. */
function wanted() {
  const parameters = new URLSearchParams(location.search);
  const days = Number(parameters.get("days"));
  return { name: parameters.get("c") ?? "", days: PERIODS.includes(days) ? days : USUAL };
}

/**
 * Go to another collection or period, as a step of the history.
 *
 * @param {{name?: string, days?: number}} change
 */
function go(change) {
  const { name, days } = { ...wanted(), ...change };
  const parameters = new URLSearchParams({ ...(name && { c: name }), ...(days !== USUAL && { days: String(days) }) });
  history.pushState(null, "", parameters.size ? `?${parameters}` : location.pathname);
  show();
}

/** Load the collections, then the figures. */
async function start() {
  try {
    collections = await listCollections();
  } catch (error) {
    return fail(error, start);
  }
  return show();
}

/** Show the figures that the address asks for. */
async function show() {
  const mine = ++asked;
  const { name, days } = wanted();
  for (const radio of document.querySelectorAll("input[name=days]")) {
    const input = /** @type {HTMLInputElement} */ (radio);
    input.checked = Number(input.value) === days;
  }
  if (collections.length === 0) return put(noCollections(), "Nothing to search yet");
  const found = name ? collections.find((one) => one.name === name) : collections[0];
  showCollections(collections, found ?? null);
  if (!found) {
    return put(noSuchCollection(name, collections, (other) => go({ name: other })), `There is no collection ${name}`);
  }
  place.setAttribute("aria-busy", "true");
  let answer;
  try {
    answer = await getAnalytics(found.name, days);
  } catch (error) {
    if (mine === asked) fail(error, show);
    return;
  }
  if (mine === asked) draw(answer, days);
}

/**
 * @param {Analytics} answer
 * @param {number} days
 */
function draw(answer, days) {
  document.title = `${answer.collection} · Analytics · Winnow`;
  if (answer.totals.searches === 0) {
    if (answer.enabled) return put(emptyReport(answer.collection, days), "No searches");
    return put(switchedOff(), "Searches are not recorded");
  }
  put(report(answer, place.clientWidth), `Figures of ${answer.collection}, ${days} days`);
  shown = answer;
}

/**
 * @param {Node} content in place of what was there
 * @param {string} words for screen readers
 */
function put(content, words) {
  shown = null;
  place.setAttribute("aria-busy", "false");
  place.replaceChildren(content);
  byId("live", HTMLElement).textContent = words;
}

/**
 * @param {unknown} error
 * @param {() => void} retry
 */
function fail(error, retry) {
  const { title, block } = failure(error, retry);
  put(block, title);
}

byId("period", HTMLFieldSetElement).addEventListener("change", (event) => {
  go({ days: Number(/** @type {HTMLInputElement} */ (event.target).value) });
});
picker.addEventListener("change", () => go({ name: picker.value }));
addEventListener("popstate", show);
let width = place.clientWidth;
new ResizeObserver(() => {
  if (place.clientWidth === width) return;
  width = place.clientWidth;
  if (shown) place.replaceChildren(report(shown, width));
}).observe(place);

bindTheme();
start();
