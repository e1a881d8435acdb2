/**
 * Make an element. Strings become text nodes, never markup.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [attributes] `on…` functions are listeners; null, undefined and false are left out
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child || child === "")));
  return element;
}

/** @param {string} path the `d` of one stroke in a box of 20 by 20 */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const LENS = "M14 8.5a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0zM13 13l4.5 4.5";

/**
 * Text nodes and `<mark>`s for a part of a text. Offsets count code points.
 *
 * @param {string[]} points
 * @param {{start: number, end: number}[]} highlights sorted, not overlapping
 * @param {{start: number, end: number}} part
 */
export function marked(points, highlights, part) {
  /** @type {(Node | string)[]} */
  const nodes = part.start > 0 ? ["… "] : [];
  let at = part.start;
  for (const { start, end } of highlights) {
    const from = Math.max(start, at);
    const to = Math.min(end, part.end);
    if (to <= from) continue;
    nodes.push(points.slice(at, from).join(""), h("mark", { part: "mark" }, points.slice(from, to).join("")));
    at = to;
  }
  nodes.push(points.slice(at, part.end).join(""), part.end < points.length ? " …" : "");
  return nodes;
}

/** Queries that led somewhere, newest first, in the browser's storage; without storage there are none. */
export class Recents {
  /** @param {string} name */
  constructor(name) {
    this.name = `winnow.recents ${name}`;
  }

  /** @returns {string[]} */
  get() {
    try {
      const found = JSON.parse(localStorage.getItem(this.name) ?? "[]");
      return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
    } catch {
      return [];
    }
  }

  /** @param {string[]} queries */
  set(queries) {
    try {
      localStorage.setItem(this.name, JSON.stringify(queries.slice(0, 6)));
    } catch {
      // Storage is switched off: nothing to keep them in.
    }
  }

  /** @param {string} query */
  add(query) {
    if (query) this.set([query, ...this.get().filter((one) => one !== query)]);
  }

  /** @param {string} query */
  drop(query) {
    this.set(this.get().filter((one) => one !== query));
  }
}
