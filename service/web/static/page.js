"use strict";
/** @import {Answer, Collection, State} from "./types.js" */
import { apiKey, listCollections } from "./api.js";
import { IndexingWatch, showCollections, showCounts } from "./collections.js";
import { details } from "./details.js";
import { byId, duration, h, plural } from "./dom.js";
import { activeChips, filterPanel, toggleValue } from "./filters.js";
import { failure, noCollections, noSuchCollection, unfilter, welcome } from "./notices.js";
import { curlCommand, members, ranges } from "./request.js";
import { stageStrip } from "./stages.js";
import { fromUrl, keepDeclared, toUrl } from "./state.js";

const LOOK_AGAIN = 3000;

/**
 * The page around `<winnow-search>`: one state, kept in the URL, given to the element by its attributes and properties,
 * and changed by its events. The element asks, lists and explains; the page adds what both stages did.
 */
export class Page {
  constructor() {
    /** @type {any} */
    this.search = byId("search", HTMLElement);
    /** @type {State} */
    this.state = fromUrl(location.search);
    /** @type {Collection[]} */
    this.collections = [];
    /** @type {Collection | null} */
    this.collection = null;
    this.typing = false; // whether the newest history entry is a query still being typed
    this.watch = new IndexingWatch((collection) => this.counted(collection));
    this.listen();
  }

  listen() {
    const { search } = this;
    search.token = apiKey.get();
    search.details = (/** @type {import("./types.js").Result} */ result, /** @type {Answer} */ answer) =>
      details(result, answer, this.chosen(), (key, value) => this.filterBy(key, value));
    search.addEventListener("winnow-input", (/** @type {CustomEvent} */ event) => this.type(event.detail));
    search.addEventListener("winnow-answer", (/** @type {CustomEvent} */ event) => this.answered(event.detail));
    search.addEventListener("winnow-refine", (/** @type {CustomEvent} */ event) => this.refined(event.detail));
    search.addEventListener("winnow-select", () => this.settle());
    search.addEventListener("winnow-error", (/** @type {CustomEvent} */ event) => {
      if (event.detail.problem.status === 429) return this.notice("", ""); // the element says when it goes on
      event.preventDefault();
      this.failed(event.detail);
    });
    search.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && this.settle());
  }

  /** Load the collections, then run what the URL asks for. */
  async start() {
    this.search.open();
    this.apply();
    try {
      this.collections = await listCollections();
    } catch (error) {
      return this.failed(error, () => this.start());
    }
    if (this.collections.length > 0) return this.open();
    this.notice(noCollections(), "Nothing to search yet");
    setTimeout(() => this.awaitFirst(), LOOK_AGAIN);
  }

  /** Open the first collection once there is one. */
  async awaitFirst() {
    try {
      this.collections = document.hidden ? [] : await listCollections();
    } catch (error) {
      return this.failed(error, () => this.start());
    }
    if (this.collections.length > 0) this.open();
    else setTimeout(() => this.awaitFirst(), LOOK_AGAIN);
  }

  /** Show the collection that the state names (or the first) and search. */
  open() {
    const wanted = this.state.collection;
    const found = wanted ? this.collections.find(({ name }) => name === wanted) : this.collections[0];
    this.collection = found ?? null;
    showCollections(this.collections, this.collection);
    if (!found) {
      const notice = noSuchCollection(wanted, this.collections, (collection) => this.change({ collection }));
      this.notice(notice, `There is no collection ${wanted}`);
      return this.apply();
    }
    this.state.collection = found.name;
    this.state.filters = keepDeclared(this.state, found);
    showCounts(found);
    this.watch.follow(found);
    this.apply();
    this.drawFilters();
  }

  chosen() {
    if (!this.collection) throw new Error("no collection is open");
    return this.collection;
  }

  /** Make the controls and the element show the state; the element searches if anything is new to it. */
  apply() {
    const { search, state, collection } = this;
    document.title = state.query ? `${state.query} · Winnow` : "Winnow";
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      const input = /** @type {HTMLInputElement} */ (radio);
      input.checked = input.value === state.mode;
    }
    byId("rerank", HTMLInputElement).checked = state.rerank;
    byId("group", HTMLSelectElement).value = state.groupBy;
    byId("top-n", HTMLSelectElement).value = String(state.topN);
    search.query = state.query;
    search.setAttribute("collection", collection?.name ?? "");
    search.setAttribute("results", String(state.topN));
    if (!collection) return;
    const filter = ranges(state, collection);
    if (filter) search.setAttribute("filter", JSON.stringify(filter));
    else search.removeAttribute("filter");
    const open = !byId("filters", HTMLElement).hidden;
    search.setAttribute("facets", open ? countable(collection).join() : "");
    search.refinements = refinementsOf(state, collection);
    const wanted = members(state);
    if (JSON.stringify(wanted) !== JSON.stringify(search.params)) search.params = wanted;
    if (!state.query.trim()) this.notice(welcome(collection, (query) => this.change({ query })), "");
  }

  /** @param {string} query what the box holds while a person types */
  type(query) {
    this.state.query = query;
    this.write(this.typing);
    this.typing = true;
    this.apply();
  }

  /** The query is final: the next one becomes a new step of the history. */
  settle() {
    this.typing = false;
  }

  /** @param {Partial<State>} part of the state that a control has changed */
  change(part) {
    Object.assign(this.state, part);
    this.settle();
    this.write(false);
    if ("collection" in part) return this.open();
    this.apply();
    if ("filters" in part) this.drawFilters();
  }

  /** The person went back or forward. */
  travel() {
    this.settle();
    this.state = fromUrl(location.search);
    this.open();
  }

  /** @param {boolean} replace whether the newest history entry is still the same search */
  write(replace) {
    const url = toUrl(this.state, this.collections.length > 1);
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  /** Draw the filter panel, its button, and the chips of active filters. The focus stays in place. */
  drawFilters() {
    const { state } = this;
    const collection = this.chosen();
    const change = (/** @type {State["filters"]} */ filters) => this.change({ filters });
    const panel = byId("filters", HTMLElement);
    const focused = panel.contains(document.activeElement) ? document.activeElement?.getAttribute("name") : null;
    panel.replaceChildren(...filterPanel(collection, state.filters, this.search.answer?.facets ?? {}, change));
    if (focused) /** @type {HTMLElement | null} */ (panel.querySelector(`[name="${CSS.escape(focused)}"]`))?.focus();
    const toggle = byId("filters-toggle", HTMLButtonElement);
    const chips = activeChips(state.filters, change);
    toggle.hidden = Object.keys(collection.fields).length === 0;
    toggle.textContent = chips.length ? `Filters · ${chips.length}` : "Filters";
    const active = byId("active-filters", HTMLElement);
    active.hidden = chips.length === 0;
    active.replaceChildren(...chips);
  }

  toggleFilters() {
    const panel = byId("filters", HTMLElement);
    panel.hidden = !panel.hidden;
    byId("filters-toggle", HTMLButtonElement).setAttribute("aria-expanded", String(!panel.hidden));
    this.apply();
  }

  /** @param {Record<string, unknown[]>} refinements facet values that the person has chosen in the element */
  refined(refinements) {
    const kept = Object.entries(this.state.filters).filter(([key]) => !countable(this.chosen()).includes(key));
    const chosen = Object.entries(refinements).map(([key, values]) => [key, { values: values.map(String), min: "", max: "" }]);
    this.change({ filters: Object.fromEntries([...kept, ...chosen]) });
  }

  /** @param {Answer} answer */
  answered(answer) {
    const full = answer.speed === "full";
    const order = answer.score_kind === "relevance" ? "ordered by relevance" : "ordered by retrieval score, not reranked";
    const found = h("b", {}, plural(answer.results.length, "result"));
    byId("status", HTMLElement).replaceChildren(found, ` in ${duration(answer.took_ms)}, ${full ? order : "by name, while you type"}`);
    byId("stages", HTMLElement).replaceChildren(stageStrip(answer));
    const region = byId("answer", HTMLElement);
    region.hidden = false;
    if (full) region.setAttribute("aria-label", `Results for “${answer.query}”`);
    const filtered = answer.results.length === 0 && Object.keys(this.state.filters).length > 0;
    byId("notice", HTMLElement).replaceChildren(...(filtered ? [unfilter(() => this.change({ filters: {} }))] : []));
    if (!document.activeElement?.closest("#filters")) this.drawFilters();
  }

  /**
   * Show a notice and no results.
   *
   * @param {Node | string} notice
   * @param {string} spoken what a screen reader is told; empty for nothing
   */
  notice(notice, spoken) {
    byId("answer", HTMLElement).hidden = true;
    byId("notice", HTMLElement).replaceChildren(notice);
    byId("live", HTMLElement).textContent = spoken;
  }

  /**
   * @param {string} key
   * @param {string} value
   */
  filterBy(key, value) {
    this.change({ filters: toggleValue(this.state.filters, key, this.chosen().fields[key], value) });
  }

  /**
   * @param {unknown} error
   * @param {() => void} [retry]
   */
  failed(error, retry = () => this.search.run()) {
    const { title, block } = failure(error, () => {
      this.search.token = apiKey.get();
      retry();
    });
    this.notice(block, title);
  }

  /** @param {Collection} collection with new counts */
  counted(collection) {
    if (collection.name !== this.collection?.name) return;
    const wasEmpty = this.collection.counts.chunks === 0;
    this.collection = collection;
    showCounts(collection);
    this.apply();
    if (collection.counts.pending === 0 || wasEmpty) this.search.run();
  }

  curl() {
    return curlCommand(this.chosen().name, this.search.request, apiKey.get() !== "");
  }
}

/**
 * The fields whose values the element counts and lets one choose.
 *
 * @param {Collection} collection
 */
function countable(collection) {
  return Object.keys(collection.fields).filter((key) => ["keyword", "boolean"].includes(collection.fields[key]));
}

/**
 * @param {State} state
 * @param {Collection} collection
 */
function refinementsOf({ filters }, collection) {
  const keys = countable(collection).filter((key) => filters[key]?.values.length);
  const typed = (/** @type {string} */ key) =>
    collection.fields[key] === "boolean" ? filters[key].values.map((one) => one === "true") : filters[key].values;
  return Object.fromEntries(keys.map((key) => [key, typed(key)]));
}
