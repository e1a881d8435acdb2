"use strict";
import { byId } from "./dom.js";

/**
 * Copy a text and confirm it on the button; if the browser forbids it, show the text for manual copying.
 *
 * @param {string} text
 * @param {HTMLButtonElement} button
 */
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return offer(text); // no permission, or a page served over plain HTTP
  }
  const words = button.dataset.words ?? button.textContent ?? "";
  button.dataset.words = words;
  button.textContent = "Copied";
  byId("live", HTMLElement).textContent = "Copied";
  setTimeout(() => {
    button.textContent = words;
  }, 1500);
}

/** @param {string} text */
function offer(text) {
  const area = byId("copy-text", HTMLTextAreaElement);
  area.value = text;
  byId("copy", HTMLDialogElement).showModal();
  area.select();
}
