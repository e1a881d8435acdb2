"use strict";
/** @import {Answer, Collection, State} from "./types.js" */
import { apiKey, listCollections, Problem, search } from "./api.js";
import { IndexingWatch, showCollections, showCounts } from "./collections.js";
import { toggleValue } from "./filters.js";
import { failure, noCollections, noResults, noSuchCollection, welcome } from "./notices.js";
import { curlCommand, requestBody } from "./request.js";
import { Searcher } from "./searcher.js";
import { fromUrl, keepDeclared, toUrl } from "./state.js";
import { showAnswer, showBusy, showControls, showFilters, showNotice } from "./view.js";

const LOOK_AGAIN = 3000;

/** The page: one state, kept in the URL, and the reactions to its changes. */
export class Page {
  constructor() {
    /** @type {State} */
    this.state = fromUrl(location.search);
    /** @type {Collection[]} */
    this.collections = [];
    /** @type {Collection | null} */
    this.collection = null;
    /** @type {Record<string, Set<string>>} */
    this.seen = {};
    this.typing = false; // whether the newest history entry is a query still being typed
    this.searcher = new Searcher({
      send: (signal) => search(this.chosen().name, this.body(), signal),
      started: () => showBusy(true),
      answered: (answer) => this.answered(answer),
      failed: (error) => this.failed(error),
    });
    this.watch = new IndexingWatch((collection) => this.counted(collection));
  }

  /** Load the collections, then run what the URL asks for. */
  async start() {
    showControls(this.state);
    try {
      this.collections = await listCollections();
    } catch (error) {
      return this.failed(error, () => this.start());
    }
    if (this.collections.length > 0) return this.open();
    showNotice(noCollections(), "Nothing to search yet");
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
      return showNotice(notice, `There is no collection ${wanted}`);
    }
    this.state.collection = found.name;
    this.state.filters = keepDeclared(this.state, found);
    this.seen = {};
    showCounts(found);
    this.watch.follow(found);
    this.drawFilters();
    this.run();
  }

  chosen() {
    if (!this.collection) throw new Error("no collection is open");
    return this.collection;
  }

  body() {
    return requestBody(this.state, this.chosen());
  }

  /** Search now, or show the start page if there is no query. */
  run() {
    this.searcher.cancel();
    showBusy(false);
    if (!this.collection) return;
    if (this.state.query.trim()) this.searcher.now();
    else showNotice(welcome(this.collection, (query) => this.change({ query })), "");
  }

  /** @param {string} query what the box holds while a person types */
  type(query) {
    this.state.query = query;
    this.write(this.typing);
    this.typing = true;
    showControls(this.state);
    if (this.collection && query.trim()) this.searcher.soon();
    else this.run();
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
    showControls(this.state);
    if ("collection" in part) this.open();
    else {
      if ("filters" in part) this.drawFilters();
      this.run();
    }
  }

  /** The person went back or forward. */
  travel() {
    this.settle();
    this.state = fromUrl(location.search);
    showControls(this.state);
    this.open();
  }

  /** @param {boolean} replace whether the newest history entry is still the same search */
  write(replace) {
    const url = toUrl(this.state, this.collections.length > 1);
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  drawFilters() {
    showFilters(this.chosen(), this.state, this.seen, (filters) => this.change({ filters }));
  }

  /** @param {Answer} answer */
  answered(answer) {
    showBusy(false);
    const collection = this.chosen();
    const filtered = Object.keys(this.state.filters).length > 0;
    const drop = () => this.change({ filters: {} });
    const notice = answer.results.length ? null : noResults(answer.query, filtered, drop);
    showAnswer(answer, collection, (key, value) => this.filterBy(key, value), notice);
    this.remember(answer);
  }

  /**
   * Offer the values of these results in the filter panel, unless a person is in it.
   *
   * @param {Answer} answer
   */
  remember(answer) {
    for (const key of Object.keys(this.chosen().fields)) {
      const seen = (this.seen[key] ??= new Set());
      for (const { metadata } of answer.results) {
        for (const value of [metadata?.[key]].flat()) if (typeof value === "string") seen.add(value);
      }
    }
    if (!document.activeElement?.closest("#filters")) this.drawFilters();
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
  failed(error, retry = () => this.run()) {
    showBusy(false);
    showNotice(failure(error, retry), error instanceof Problem ? `${error.title}. ${error.detail}` : "");
  }

  /** @param {Collection} collection with new counts */
  counted(collection) {
    if (collection.name !== this.collection?.name) return;
    const wasEmpty = this.collection.counts.chunks === 0;
    this.collection = collection;
    showCounts(collection);
    if (collection.counts.pending === 0 || wasEmpty) this.run();
  }

  curl() {
    return curlCommand(this.chosen().name, this.body(), apiKey.get() !== "");
  }
}
