"use strict";
/** @import {Collection, FieldFilter, FieldType} from "./types.js" */
import { h } from "./dom.js";
import { emptyFilter, isEmpty } from "./state.js";

/**
 * @typedef {Record<string, FieldFilter>} Filters
 * @typedef {(filters: Filters) => void} OnChange
 */

/**
 * The controls for declared fields: any value of a keyword, the ends of a range. The values that documents have, and
 * booleans, are offered by the element's facets.
 *
 * @param {Collection} collection
 * @param {Filters} filters
 * @param {Record<string, {values: {value: unknown}[]}>} facets of the answer
 * @param {OnChange} change
 */
export function filterPanel(collection, filters, facets, change) {
  return Object.entries(collection.fields).map(([key, type]) => {
    const chosen = filters[key] ?? emptyFilter();
    const update = (/** @type {Partial<FieldFilter>} */ part) =>
      change(withFilter(filters, key, { ...chosen, ...part }));
    if (type === "boolean") return "";
    if (type !== "keyword") return rangeField(key, type, chosen, update);
    return keywordField(key, chosen, (facets[key]?.values ?? []).map(({ value }) => String(value)), update);
  });
}

/**
 * @param {Filters} filters
 * @param {string} key
 * @param {FieldFilter} chosen
 * @returns {Filters}
 */
function withFilter(filters, key, chosen) {
  const { [key]: _, ...rest } = filters;
  return isEmpty(chosen) ? rest : { ...rest, [key]: chosen };
}

/**
 * Filter by a value that a result shows; a second time removes the filter.
 *
 * @param {Filters} filters
 * @param {string} key
 * @param {FieldType} type
 * @param {string} value
 */
export function toggleValue(filters, key, type, value) {
  const chosen = filters[key] ?? emptyFilter();
  if (type === "keyword" || type === "boolean") {
    const others = chosen.values.filter((one) => one !== value);
    const added = type === "keyword" ? [...others, value] : [value];
    return withFilter(filters, key, { ...chosen, values: chosen.values.includes(value) ? others : added });
  }
  const bound = type === "datetime" ? value.slice(0, 10) : value;
  const same = chosen.min === bound && chosen.max === bound;
  return withFilter(filters, key, same ? emptyFilter() : { values: [], min: bound, max: bound });
}

/**
 * One removable chip for each active condition.
 *
 * @param {Filters} filters
 * @param {OnChange} change
 */
export function activeChips(filters, change) {
  return Object.entries(filters).flatMap(([key, chosen]) => {
    const values = chosen.values.map((value) =>
      removable(key, value, () => change(withFilter(filters, key, without(chosen, value)))),
    );
    const range = rangeWords(chosen);
    if (range) values.push(removable(key, range, () => change(withFilter(filters, key, emptyFilter()))));
    return values;
  });
}

/**
 * @param {FieldFilter} chosen
 * @param {string} value
 */
function without(chosen, value) {
  return { ...chosen, values: chosen.values.filter((one) => one !== value) };
}

/** @param {FieldFilter} chosen */
function rangeWords({ min, max }) {
  if (min && max) return min === max ? min : `${min} to ${max}`;
  if (min) return `from ${min}`;
  return max && `up to ${max}`;
}

/**
 * @param {string} key
 * @param {string} value
 * @param {() => void} onclick
 */
function removable(key, value, onclick) {
  const label = `Remove the filter ${key}: ${value}`;
  return h(
    "button",
    { type: "button", class: "chip active", "aria-label": label, title: label, onclick },
    h("span", { class: "key" }, `${key}:`),
    value,
    h("span", { class: "cross", "aria-hidden": "true" }, "×"),
  );
}

/**
 * @param {string} key
 * @param {FieldFilter} chosen
 * @param {string[]} known
 * @param {(part: Partial<FieldFilter>) => void} update
 */
function keywordField(key, chosen, known, update) {
  const list = `values-of-${key}`;
  const add = (/** @type {Event} */ event) => {
    const value = /** @type {HTMLInputElement} */ (event.currentTarget).value.trim();
    if (value && !chosen.values.includes(value)) update({ values: [...chosen.values, value] });
  };
  const input = h("input", { type: "text", name: key, list, placeholder: "add a value", onchange: add });
  const options = known.filter((value) => !chosen.values.includes(value)).map((value) => h("option", { value }));
  const chips = chosen.values.map((value) => removable(key, value, () => update(without(chosen, value))));
  return h(
    "div",
    { class: "field" },
    h("label", {}, h("span", { class: "field-name" }, key), input),
    h("datalist", { id: list }, ...options),
    chips.length ? h("div", { class: "chips" }, ...chips) : null,
  );
}

/**
 * @param {string} key
 * @param {FieldType} type
 * @param {FieldFilter} chosen
 * @param {(part: Partial<FieldFilter>) => void} update
 */
function rangeField(key, type, chosen, update) {
  const kind = type === "datetime" ? { type: "date" } : { type: "number", step: type === "integer" ? "1" : "any" };
  const bound = (/** @type {"min" | "max"} */ end, /** @type {string} */ words) =>
    h("input", {
      ...kind,
      name: `${end}-${key}`,
      value: chosen[end],
      placeholder: words,
      "aria-label": `${key}, ${words}`,
      onchange: (/** @type {Event} */ event) => {
        const input = /** @type {HTMLInputElement} */ (event.currentTarget);
        if (input.reportValidity()) update({ [end]: input.value });
      },
    });
  const dash = h("span", { "aria-hidden": "true" }, "–");
  const legend = h("legend", { class: "field-name" }, key);
  const ends = h("div", { class: "range" }, bound("min", "from"), dash, bound("max", "to"));
  return h("fieldset", { class: "field" }, legend, ends);
}
