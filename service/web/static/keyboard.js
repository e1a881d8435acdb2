"use strict";
import { byId } from "./dom.js";

/**
 * Bind the page's keys. The help dialog in index.html lists them.
 *
 * @param {object} actions
 * @param {() => void} actions.clear
 */
export function bindKeys({ clear }) {
  const query = byId("query", HTMLInputElement);
  const list = byId("list", HTMLOListElement);
  const help = byId("help", HTMLDialogElement);
  const toBox = () => {
    query.focus();
    query.select();
  };
  const step = (/** @type {number} */ by) => moveFocus(list, query, by);

  /** @type {Record<string, () => void>} */
  const arrows = { ArrowDown: () => step(1), ArrowUp: () => step(-1) };
  /** @type {Record<string, () => void>} */
  const letters = {
    j: () => step(1),
    k: () => step(-1),
    "/": toBox,
    "?": () => help.showModal(),
    Escape: toBox,
    x: () => press(".more"),
    s: () => press(".moved"),
  };
  /** @type {Record<string, () => void>} */
  const inBox = { ...arrows, Escape: clear };
  const keysOf = (/** @type {HTMLElement} */ target) => {
    if (target === query) return inBox;
    if (target.matches("input[type=radio]")) return letters; // arrows choose between the options
    if (target.matches("input:not([type=checkbox]), select, textarea")) return {};
    return { ...arrows, ...letters };
  };

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      toBox();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const keys = keysOf(/** @type {HTMLElement} */ (event.target));
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  byId("help-open", HTMLButtonElement).addEventListener("click", () => help.showModal());
}

/**
 * Move to the next or previous result; above the first is the search box.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement} box
 * @param {number} by
 */
function moveFocus(list, box, by) {
  const titles = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(".title")]);
  if (titles.length === 0) return;
  const here = titles.findIndex((title) => title.closest("li")?.contains(document.activeElement));
  const next = Math.min(titles.length - 1, here + by);
  const goal = next < 0 ? box : titles[next];
  goal.focus({ preventScroll: true });
  (goal.closest("li") ?? goal).scrollIntoView({ block: "nearest" });
}

/** @param {string} selector a button of the result that has the focus */
function press(selector) {
  const button = document.activeElement?.closest(".result")?.querySelector(selector);
  if (button instanceof HTMLButtonElement && !button.hidden) button.click();
}
