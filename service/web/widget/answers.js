import { Refusal } from "./client.js";
import { h } from "./dom.js";
import { ask, facetLabels } from "./request.js";
import { facetGroups, resultOption } from "./results.js";

/** @param {any} result @returns {string} what tells it from others */
function keyOf(result) {
  return result && `${result.document_id} ${result.chunk?.index}`;
}

/** @param {any} answer @returns {any[]} its results, each with the name of the search that found it */
function listed({ results, search_id }) {
  return results.map((/** @type {any} */ one) => ({ ...one, search_id }));
}

/**
 * Show only the named parts; the list where it has options.
 *
 * @param {any} search the element, here and below
 * @param {Record<string, unknown>} parts
 */
function lay(search, parts) {
  for (const name of ["facets", "note", "head", "state", "more", "why", "forget", "foot"]) search[name].hidden = !parts[name];
  search.list.hidden = !search.options.length;
  search.input.setAttribute("aria-expanded", String(!search.list.hidden));
}

/**
 * Fill the list.
 *
 * @param {any} search
 * @param {HTMLElement[]} nodes
 * @param {(Node | null)[]} [details] of each result: then the list is a grid, whose rows may hold buttons
 */
function draw(search, nodes, details) {
  const role = details ? "grid" : "listbox";
  search.list.setAttribute("role", role);
  search.input.setAttribute("aria-haspopup", role);
  const { activeElement } = document;
  if (search.extras.some((/** @type {Node | null} */ one) => one?.contains(activeElement))) search.input.focus({ preventScroll: true });
  for (const one of search.extras) one?.remove();
  search.extras = details ?? [];
  search.extras.forEach((/** @type {any} */ one, /** @type {number} */ at) => {
    if (one) one.slot = `details-${at}`;
  });
  search.append(...search.extras.filter(Boolean));
  search.list.replaceChildren(...(details ? nodes.map(row) : nodes));
  point(search, -1);
}

/** @param {HTMLElement} option @param {number} at */
function row(option, at) {
  const { id } = option;
  for (const name of ["role", "id", "aria-selected"]) option.removeAttribute(name);
  const cell = h("div", { role: "gridcell", id, "aria-selected": "false" }, option);
  const more = h("div", { role: "gridcell", part: "details" }, h("slot", { name: `details-${at}` }));
  return h("div", { role: "row", part: "row" }, cell, more);
}

/** Make an option the active one; -1 for none. @param {any} search @param {number} at */
export function point(search, at) {
  const { options, input } = search;
  options[search.active]?.setAttribute("aria-selected", "false");
  search.active = at;
  const option = options[at];
  if (option) {
    option.setAttribute("aria-selected", "true");
    (option.closest("[role=row]") ?? option).scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  } else input.removeAttribute("aria-activedescendant");
  search.emit("winnow-active", search.answer ? (search.shown[at] ?? null) : null);
}

/** What was searched for before, while the box is empty. @param {any} search */
export function offer(search) {
  const found = search.getAttribute("recents") === "off" ? [] : search.recent.get();
  search.answer = null;
  search.shown = found;
  const option = { role: "option", class: "option", part: "option", "aria-selected": "false", dir: "auto" };
  draw(search, found.map((/** @type {string} */ query, /** @type {number} */ at) => h("div", { ...option, id: `o${at}` }, query)));
  lay(search, { head: found.length, forget: found.length, foot: found.length });
  search.said.textContent = search.live.textContent = "";
}

/**
 * Show an answer in place of what was there; an option that was chosen stays active. No names: wait for the rest.
 *
 * @param {any} search
 * @param {any} answer
 */
export function show(search, answer) {
  if (answer.speed === "instant" && !answer.results.length) return;
  search.refused = null;
  const key = search.moved && search.answer ? keyOf(search.shown[search.active]) : null;
  search.answer = answer;
  search.shown = listed(answer);
  redraw(search, key);
  search.emit("winnow-answer", answer);
}

/** @param {any} search @param {string | null} key of the result that is to be active */
function redraw(search, key) {
  const { answer, shown, t, details, chosen } = search;
  const why = search.why.getAttribute("aria-pressed") === "true";
  const nodes = shown.map((/** @type {any} */ result, /** @type {number} */ at) => {
    const twin = shown.some((/** @type {any} */ other) => other !== result && other.title === result.title);
    return resultOption(result, { id: `o${at}`, why, twin, t });
  });
  draw(search, nodes, details && shown.map((/** @type {any} */ result) => details(result, answer)));
  const at = shown.findIndex((/** @type {any} */ result) => keyOf(result) === key);
  point(search, at < 0 && search.dialog && shown.length ? 0 : at);
  drawFacets(search);
  const found = shown.length > 0;
  const picked = [...chosen.values()].some((values) => values.size);
  const facets = search.facets.childElementCount && (found || picked);
  const more = answer.next && answer.speed === "full";
  lay(search, { facets, note: answer.degraded, state: !found, foot: true, more, why: found && !details });
  search.note.textContent = t("degraded");
  search.state.textContent = found ? "" : t("none", { q: search.query.trim() });
  search.live.textContent = found ? t("results", { n: shown.length }) : search.state.textContent;
  search.said.textContent = found ? search.live.textContent : "";
}

/** @param {any} search */
function drawFacets(search) {
  const focused = search.root.activeElement?.getAttribute("data-facet");
  const changed = () => {
    search.emit("winnow-refine", search.refinements);
    search.run();
  };
  const groups = facetGroups(search.answer.facets ?? {}, facetLabels(search), search.chosen, changed);
  search.facets.replaceChildren(...groups.filter(Boolean));
  if (focused) search.facets.querySelector(`[data-facet="${globalThis.CSS.escape(focused)}"]`)?.focus();
}

/** Show the scores of each result, or hide them. @param {any} search */
export function explain(search) {
  search.why.setAttribute("aria-pressed", String(search.why.getAttribute("aria-pressed") !== "true"));
  redraw(search, keyOf(search.shown[search.active]));
}

/** The next page, behind what is shown. @param {any} search */
export async function next(search) {
  const { answer, asker } = search;
  const running = new AbortController();
  asker.stop();
  asker.running = running;
  asker.hooks.busy(true);
  try {
    const page = await ask(search, { cursor: answer.next }, running.signal);
    if (asker.running !== running) return;
    const at = search.shown.length;
    search.answer = page;
    search.shown = [...search.shown, ...listed(page)];
    redraw(search, null);
    point(search, Math.min(at, search.shown.length - 1));
    search.input.focus();
  } catch (error) {
    if (asker.running === running) fail(search, error);
  } finally {
    if (asker.running === running) asker.done();
  }
}

/**
 * Say why there is no answer; go on by itself where the service says when, or the network is back.
 *
 * @param {any} search
 * @param {unknown} error
 */
export function fail(search, error) {
  if (!(error instanceof Refusal)) throw error;
  search.refused = error;
  search.answer = null;
  search.shown = [];
  draw(search, []);
  lay(search, { state: true });
  if (!search.emit("winnow-error", error)) return lay(search, {});
  const words = h("p", {}, search.t(error.wait > 0 ? "limit" : error.kind, { n: error.wait }));
  const retry = h("button", { type: "button", class: "plain", part: "retry", onclick: () => search.run() }, search.t("retry"));
  search.state.replaceChildren(words, retry);
  search.live.textContent = words.textContent;
  if (error.wait > 0) wait(search, error, words);
}

/** @param {any} search @param {Refusal} error @param {HTMLElement} words */
function wait(search, error, words) {
  const until = Date.now() + error.wait * 1000;
  clearInterval(search.countdown);
  search.countdown = setInterval(() => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left <= 0) return search.run();
    words.textContent = search.t("limit", { n: left });
  }, 1000);
}
