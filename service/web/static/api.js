"use strict";
/** @import {Analytics, Collection} from "./types.js" */
import { send } from "../widget/client.js";
import { recall, remember } from "./storage.js";

const KEY = "winnow.key";

/** The key of this tab; closing the tab forgets it. */
export const apiKey = {
  get: () => recall("sessionStorage", KEY),
  /** @param {string} key */
  set: (key) => remember("sessionStorage", KEY, key),
};

/**
 * The path of searches, relative to the page: a proxy may serve both under a prefix.
 *
 * @param {string} name
 */
export function searchPath(name) {
  return `v1/collections/${encodeURIComponent(name)}/search`;
}

/** @returns {Promise<Collection[]>} */
export async function listCollections() {
  const body = await send("v1/collections", apiKey.get(), null);
  return body.collections;
}

/**
 * @param {string} name
 * @returns {Promise<Collection>}
 */
export function getCollection(name) {
  return send(`v1/collections/${encodeURIComponent(name)}`, apiKey.get(), null);
}

/**
 * What visitors of a collection did in the last days.
 *
 * @param {string} name
 * @param {number} days
 * @returns {Promise<Analytics>}
 */
export function getAnalytics(name, days) {
  return send(`v1/collections/${encodeURIComponent(name)}/analytics?days=${days}`, apiKey.get(), null);
}
