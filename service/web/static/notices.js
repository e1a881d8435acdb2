"use strict";
/** @import {Collection} from "./types.js" */
import { Refusal } from "../widget/client.js";
import { apiKey } from "./api.js";
import { h } from "./dom.js";

const EXAMPLES = {
  python: [
    "copy a file and its metadata",
    "split a path into name and extension",
    "run a command and capture its output",
    "cache the results of a function",
  ],
};

/**
 * @param {string} title
 * @param {...(Node | string | null)} body
 */
export function notice(title, ...body) {
  return h("div", { class: "notice" }, h("h2", {}, title), ...body);
}

/** How to start: nothing is indexed yet. */
export function noCollections() {
  return notice(
    "Nothing to search yet",
    h("p", {}, "Index a folder of Markdown, HTML, text or JSONL files. The new collection appears here without a reload."),
    h("pre", {}, h("code", {}, "winnow index ./docs -c docs")),
  );
}

/**
 * The address names a collection that does not exist: list the existing ones.
 *
 * @param {string} name
 * @param {Collection[]} collections
 * @param {(name: string) => void} open
 */
export function noSuchCollection(name, collections, open) {
  return notice(
    `There is no collection “${name}”`,
    h("p", {}, "Search another:"),
    choices("Collections", collections.map((one) => one.name), open),
  );
}

/**
 * Before the first query.
 *
 * @param {Collection} collection
 * @param {(query: string) => void} ask
 */
export function welcome(collection, ask) {
  const examples = Object.hasOwn(EXAMPLES, collection.name) ? EXAMPLES[/** @type {"python"} */ (collection.name)] : [];
  if (collection.counts.documents === 0) {
    return notice(
      `“${collection.name}” is empty`,
      h("p", {}, "Add documents:"),
      h("pre", {}, h("code", {}, `winnow index ./docs -c ${collection.name}`)),
    );
  }
  return notice(
    "Ask in your own words",
    h("p", {}, "The first stage finds candidates by meaning and by words; the second reads and reorders them."),
    examples.length ? choices("Example queries", examples, ask) : null,
  );
}

/**
 * @param {string} label
 * @param {string[]} values
 * @param {(value: string) => void} choose
 */
function choices(label, values, choose) {
  const button = (/** @type {string} */ value) =>
    h("button", { type: "button", class: "choice", onclick: () => choose(value) }, value);
  return h("ul", { class: "choices", "aria-label": label }, ...values.map((value) => h("li", {}, button(value))));
}

/** @param {() => void} dropFilters */
export function unfilter(dropFilters) {
  return h("p", { class: "centre" }, h("button", { type: "button", class: "primary", onclick: dropFilters }, "Remove the filters"));
}

/**
 * An error in the service's words, with the remedy.
 *
 * @param {unknown} error
 * @param {() => void} retry
 */
export function failure(error, retry) {
  if (!(error instanceof Refusal)) throw error;
  if (error.kind === "token") return { title: keyTitle(error), block: keyForm(error, retry) };
  const { status, code, request_id: id } = error.problem;
  const title = status ? (error.problem.title ?? `The server answered ${status}`) : "The server does not answer";
  const detail = status ? error.problem.detail : "Check that winnow is running and that the network is up.";
  const reference = [code, id && `request ${id}`].filter(Boolean).join(" · ");
  const block = notice(
    title,
    detail ? h("p", {}, detail) : null,
    error.wait ? h("p", {}, `Try again in ${error.wait} s.`) : null,
    h("button", { type: "button", class: "primary", onclick: retry }, "Try again"),
    reference ? h("p", { class: "quiet" }, reference) : null,
  );
  block.classList.add("bad");
  return { title: detail ? `${title}. ${detail}` : title, block };
}

/** @param {Refusal} error */
function keyTitle(error) {
  if (!apiKey.get()) return "A key is needed";
  return error.problem.status === 403 ? "This key does not allow that" : "The key was refused";
}

/**
 * @param {Refusal} error
 * @param {() => void} retry
 */
function keyForm(error, retry) {
  const input = h("input", { type: "password", id: "api-key", required: true, autocomplete: "off" });
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    apiKey.set(input.value.trim());
    retry();
  };
  const form = h(
    "form",
    { class: "key-form", onsubmit: submit },
    h("label", { for: "api-key" }, "API key, kept until this tab closes"),
    h("div", {}, input, h("button", { class: "primary" }, "Use it")),
  );
  return notice(keyTitle(error), error.problem.detail ? h("p", {}, error.problem.detail) : null, form);
}
