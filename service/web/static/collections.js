"use strict";
/** @import {Collection} from "./types.js" */
import { getCollection } from "./api.js";
import { byId, count, fill, h, plural } from "./dom.js";

const SOONEST = 2000;
const LATEST = 15000;

/**
 * Fill the header: a picker where there is a choice, else the one name.
 *
 * @param {Collection[]} collections
 * @param {Collection | null} current null where the one that was asked for does not exist
 */
export function showCollections(collections, current) {
  const picker = byId("collection", HTMLSelectElement);
  const name = byId("collection-name", HTMLElement);
  picker.hidden = collections.length < 2;
  name.hidden = collections.length !== 1;
  name.textContent = collections[0].name;
  picker.replaceChildren(...collections.map((one) => h("option", { value: one.name }, one.name)));
  picker.value = current?.name ?? "";
}

/** @param {Collection} collection */
export function showCounts({ counts: { documents, chunks, pending } }) {
  const words = byId("counts", HTMLElement);
  words.textContent = plural(documents, "document");
  words.title = plural(chunks, "searchable chunk");
  const box = byId("indexing", HTMLElement);
  box.hidden = pending === 0;
  if (pending === 0) return;
  const done = Math.max(0, documents - pending);
  const progress = ` ${count(done)} of ${plural(documents, "document")}. New ones appear when ready.`;
  box.replaceChildren(
    h("p", {}, h("b", {}, "Indexing"), progress),
    fill(h("span", { class: "bar" }), documents ? done / documents : 0),
  );
}

/** Watches a collection while documents wait to be indexed; looks less often the longer nothing changes. */
export class IndexingWatch {
  /**
   * @param {(collection: Collection) => void} changed called with every new state, the last one with nothing pending
   */
  constructor(changed) {
    this.changed = changed;
    this.wait = SOONEST;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** @param {Collection} collection */
  follow(collection) {
    clearTimeout(this.timer);
    if (collection.counts.pending === 0) return;
    this.timer = setTimeout(() => this.look(collection), this.wait);
  }

  /** @param {Collection} last */
  async look(last) {
    if (document.hidden) return this.later(last);
    let next;
    try {
      next = await getCollection(last.name);
    } catch {
      return this.later(last); // a search says what is wrong; the hint only keeps trying
    }
    this.wait = next.counts.pending === last.counts.pending ? this.longer() : SOONEST;
    this.changed(next);
    this.follow(next);
  }

  /** @param {Collection} collection */
  later(collection) {
    this.wait = this.longer();
    this.follow(collection);
  }

  longer() {
    return Math.min(LATEST, this.wait * 1.5);
  }
}
