"use strict";

/**
 * Read from the browser's storage; empty if nothing is stored or storage is switched off.
 *
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} name
 */
export function recall(area, name) {
  try {
    return window[area].getItem(name) ?? "";
  } catch {
    return "";
  }
}

/**
 * Write to the browser's storage; without storage the choice lasts as long as the page.
 *
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} name
 * @param {string} value
 */
export function remember(area, name, value) {
  try {
    window[area].setItem(name, value);
  } catch {
    // Storage is switched off: nothing to keep it in.
  }
}
