import { baseOf } from "./request.js";

const CLICKS = "winnow.clicks";

/** @returns {Record<string, string>} the search that led to each document that was followed in this tab */
function clicks() {
  try {
    return JSON.parse(sessionStorage.getItem(CLICKS) ?? "{}");
  } catch {
    return {};
  }
}

/** @param {any} search the element @param {object} event */
function sendEvent(search, event) {
  const session = search.getAttribute("session");
  const headers = { "content-type": "text/plain", ...(search.token && { authorization: `Bearer ${search.token}` }) };
  const body = JSON.stringify({ events: [{ ...event, ...(session && { session }) }] });
  fetch(`${baseOf(search)}v1/events`, { method: "POST", headers, body, keepalive: true }).catch(() => {});
}

/**
 * Tell the service that a result was followed, if it counts them: only then its answers have a `search_id`. The request outlives the page.
 *
 * @param {any} search
 * @param {number} at the option
 */
export function clicked(search, at) {
  const { search_id, document_id, rank } = search.shown[at];
  if (!search_id) return;
  try {
    sessionStorage.setItem(CLICKS, JSON.stringify({ ...clicks(), [document_id]: search_id }));
  } catch {
    // Storage is switched off: a conversion on another page finds no search.
  }
  sendEvent(search, { type: "click", search_id, document_id, position: rank });
}

/**
 * Tell the service that a search reached its goal at a document that was followed in this tab.
 *
 * @param {any} search
 * @param {string} document_id
 * @returns {boolean} whether there was such a search
 */
export function converted(search, document_id) {
  const search_id = clicks()[document_id];
  if (search_id) sendEvent(search, { type: "conversion", search_id, document_id });
  return Boolean(search_id);
}
