import { offer, point } from "./answers.js";

/**
 * The keys of the whole page: Ctrl K or `/` opens the search, unless one is writing.
 *
 * @param {any} search the element
 * @param {KeyboardEvent} event
 */
export function hotkey(search, event) {
  if (event.defaultPrevented || event.altKey || search.getAttribute("hotkeys") === "off") return;
  const command = event.ctrlKey || event.metaKey;
  const control = command && event.key.toLowerCase() === "k";
  if (!control && (command || event.key !== "/" || isWriting(event))) return;
  const within = event.composedPath().find((one) => /** @type {any} */ (one).localName === search.localName);
  if ((within && within !== search) || !search.checkVisibility()) return;
  event.preventDefault();
  if (control && search.dialog?.open) search.close();
  else search.open();
}

/** @param {KeyboardEvent} event */
function isWriting(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
}

/**
 * The keys of the box, as the combobox pattern has them (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/): the focus
 * stays in the box, arrows choose the active option; at the end of the text the arrow forward goes to the option's details.
 *
 * @param {any} search the element
 * @param {KeyboardEvent} event
 */
export function boxKey(search, event) {
  if (event.isComposing || event.keyCode === 229) return; // 229: Safari, for the key that ends a composition
  const { options, active, input } = search;
  const { key } = event;
  const forward = search.panel.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
  if (key === "ArrowDown" && options.length) step(search, (active + 1) % options.length);
  else if (key === "ArrowUp" && options.length) step(search, active < 1 ? options.length - 1 : active - 1);
  else if (key === forward && input.selectionStart === input.value.length && search.extras[active]) first(search.extras[active]);
  else if (key === "Escape") (search.dialog ? search.close() : search.empty());
  else if (key === "Enter") choose(search, options[active], event);
  else if (key === "Delete" && event.shiftKey && !search.answer && options[active]) {
    search.recent.drop(search.shown[active]);
    offer(search);
  } else return;
  event.preventDefault();
}

/** @param {any} search @param {number} at */
function step(search, at) {
  search.moved = true;
  point(search, at);
}

/** @param {HTMLElement} details */
function first(details) {
  const goal = /** @type {HTMLElement | null} */ (details.querySelector("button, a[href], input"));
  goal?.focus();
}

/**
 * The keys in the details of a result: back to the box, or on to the next one.
 *
 * @param {any} search
 * @param {KeyboardEvent} event
 */
export function detailsKey(search, event) {
  if (!/^(Escape|ArrowUp|ArrowDown)$/u.test(event.key) || detailsAt(search, event) < 0) return;
  search.input.focus({ preventScroll: true });
  if (event.key === "Escape") event.preventDefault();
  else boxKey(search, event);
}

/** @param {any} search @param {Event} event @returns {number} the result in whose details it happened, or -1 */
export function detailsAt(search, { target }) {
  return search.extras.findIndex((/** @type {Node | null} */ one) => one?.contains(/** @type {Node} */ (target)));
}

/**
 * Follow the active option, with Ctrl in a new tab; without one search at once.
 *
 * @param {any} search
 * @param {HTMLElement | undefined} option
 * @param {KeyboardEvent} event
 */
function choose(search, option, { ctrlKey, metaKey, shiftKey }) {
  const click = { bubbles: true, cancelable: true, composed: true, ctrlKey, metaKey, shiftKey };
  if (option) (option.querySelector("a") ?? option).dispatchEvent(new MouseEvent("click", click));
  else search.run();
}
