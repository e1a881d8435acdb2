"use strict";
/** @import {Answer, Collection, State} from "./types.js" */
import { byId, duration, h, plural } from "./dom.js";
import { activeChips, filterPanel } from "./filters.js";
import { showResults } from "./results.js";
import { stageStrip } from "./stages.js";

/** Make the controls show a state.
 *
 * @param {State} state
 */
export function showControls(state) {
  const query = byId("query", HTMLInputElement);
  if (query.value !== state.query) query.value = state.query;
  byId("clear", HTMLButtonElement).hidden = state.query === "";
  for (const radio of document.querySelectorAll("input[name=mode]")) {
    const input = /** @type {HTMLInputElement} */ (radio);
    input.checked = input.value === state.mode;
  }
  byId("rerank", HTMLInputElement).checked = state.rerank;
  byId("group", HTMLSelectElement).value = state.groupBy;
  byId("top-n", HTMLSelectElement).value = String(state.topN);
  document.title = state.query ? `${state.query} · Winnow` : "Winnow";
}

/**
 * Draw the filter panel, its button, and the chips of active filters. The focus stays in place.
 *
 * @param {Collection} collection
 * @param {State} state
 * @param {Record<string, Set<string>>} seen
 * @param {(filters: State["filters"]) => void} change
 */
export function showFilters(collection, state, seen, change) {
  const panel = byId("filters", HTMLElement);
  const focused = panel.contains(document.activeElement) ? document.activeElement?.getAttribute("name") : null;
  panel.replaceChildren(...filterPanel(collection, state.filters, seen, change));
  if (focused) {
    const controls = [...panel.querySelectorAll(`[name="${CSS.escape(focused)}"]`)];
    const control = controls.find((one) => one.matches(":checked")) ?? controls[0];
    if (control instanceof HTMLElement) control.focus();
  }
  const toggle = byId("filters-toggle", HTMLButtonElement);
  const chips = activeChips(state.filters, change);
  toggle.hidden = Object.keys(collection.fields).length === 0;
  toggle.textContent = chips.length ? `Filters · ${chips.length}` : "Filters";
  const active = byId("active-filters", HTMLElement);
  active.hidden = chips.length === 0;
  active.replaceChildren(...chips);
}

/** @param {boolean} busy whether a search is under way */
export function showBusy(busy) {
  byId("search", HTMLFormElement).toggleAttribute("data-busy", busy);
  byId("results", HTMLElement).setAttribute("aria-busy", String(busy));
}

/**
 * Show an answer in place of what was there.
 *
 * @param {Answer} answer
 * @param {Collection} collection
 * @param {(key: string, value: string) => void} filterBy
 * @param {Node | null} notice the text to show if there are no results
 */
export function showAnswer(answer, collection, filterBy, notice) {
  const list = byId("list", HTMLOListElement);
  const focused = /** @type {HTMLElement | null | undefined} */ (document.activeElement?.closest(".result"));
  const order = answer.score_kind === "relevance" ? "ordered by relevance" : "ordered by retrieval score, not reranked";
  const found = plural(answer.results.length, "result");
  byId("status", HTMLElement).replaceChildren(h("b", {}, found), ` in ${duration(answer.took_ms)}, ${order}`);
  byId("live", HTMLElement).textContent = `${found}, ${order}`;
  byId("stages", HTMLElement).replaceChildren(stageStrip(answer));
  showResults(list, answer, collection, filterBy);
  for (const id of ["summary", "stages"]) byId(id, HTMLElement).hidden = false;
  byId("notice", HTMLElement).replaceChildren(...(notice ? [notice] : []));
  if (focused) refocus(list, focused.dataset.key ?? "");
}

/**
 * Return the focus to the result that had it, or to the list if that result is gone.
 *
 * @param {HTMLOListElement} list
 * @param {string} key
 */
function refocus(list, key) {
  const title = list.querySelector(`[data-key="${CSS.escape(key)}"] .title`);
  const goal = title instanceof HTMLElement ? title : byId("results", HTMLElement);
  goal.focus({ preventScroll: true });
}

/**
 * Show a notice and no results.
 *
 * @param {Node} notice
 * @param {string} spoken what a screen reader is told; empty for nothing
 */
export function showNotice(notice, spoken) {
  for (const id of ["summary", "stages"]) byId(id, HTMLElement).hidden = true;
  byId("list", HTMLOListElement).replaceChildren();
  byId("notice", HTMLElement).replaceChildren(notice);
  byId("live", HTMLElement).textContent = spoken;
}
