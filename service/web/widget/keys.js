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
 * stays in the box, arrows choose the active option.
 *
 * @param {any} search the element
 * @param {KeyboardEvent} event
 */
export function boxKey(search, event) {
  if (event.isComposing) return;
  const { options, active } = search;
  const { key } = event;
  if (key.startsWith("Arrow")) search.moved = true;
  if (key === "ArrowDown" && options.length) search.point((active + 1) % options.length);
  else if (key === "ArrowUp" && options.length) search.point(active < 1 ? options.length - 1 : active - 1);
  else if (key === "Escape") (search.dialog ? search.close() : search.empty());
  else if (key === "Enter") choose(search, options[active], event);
  else if (key === "Delete" && event.shiftKey && !search.answer && options[active]) search.dropRecent();
  else return;
  event.preventDefault();
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
  if (option) option.dispatchEvent(new MouseEvent("click", click));
  else search.run();
}
