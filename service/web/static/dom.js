"use strict";

export { h } from "../widget/dom.js";

/**
 * The element of this id, which the page is known to have.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`no ${type.name} with the id ${id}`);
  return element;
}

/**
 * Set how far a bar is filled. Goes through the style object, which the content security policy allows.
 *
 * @param {HTMLElement} bar
 * @param {number} share from 0 to 1
 */
export function fill(bar, share) {
  bar.style.setProperty("--share", String(Math.min(1, Math.max(0, share))));
  return bar;
}

const whole = new Intl.NumberFormat("en");

/** @param {number} value a count, with separators: 3,012 */
export function count(value) {
  return whole.format(value);
}

/**
 * A count with its noun: "1 result", "3,012 documents".
 *
 * @param {number} value
 * @param {string} noun
 * @param {string} [several]
 */
export function plural(value, noun, several = `${noun}s`) {
  return `${count(value)} ${value === 1 ? noun : several}`;
}

/** @param {number} ms a duration with as many digits as matter: "0.4 ms", "12 ms", "1.3 s" */
export function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
