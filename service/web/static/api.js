"use strict";
/** @import {Answer, Collection} from "./types.js" */
import { recall, remember } from "./storage.js";

const KEY = "winnow.key";

/** An error: the service's problem (RFC 9457), or the page's own where no answer came. */
export class Problem extends Error {
  /**
   * @param {object} facts
   * @param {number} facts.status 0 where there was no answer
   * @param {string} facts.title
   * @param {string} [facts.detail]
   * @param {string} [facts.code]
   * @param {string} [facts.requestId]
   * @param {number} [facts.retryAfter] seconds
   */
  constructor({ status, title, detail = "", code = "", requestId = "", retryAfter = 0 }) {
    super(title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

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
  const body = await request("v1/collections");
  return body.collections;
}

/**
 * @param {string} name
 * @returns {Promise<Collection>}
 */
export function getCollection(name) {
  return request(`v1/collections/${encodeURIComponent(name)}`);
}

/**
 * @param {string} name
 * @param {Record<string, unknown>} body
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function search(name, body, signal) {
  return request(searchPath(name), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/**
 * @param {string} path
 * @param {RequestInit & {headers?: Record<string, string>}} [options]
 */
async function request(path, options = {}) {
  const key = apiKey.get();
  const headers = { ...options.headers, ...(key && { authorization: `Bearer ${key}` }) };
  const response = await reach(path, { ...options, headers });
  if (!response.ok) throw await problemOf(response);
  return decode(response, options.signal);
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  }
}

/**
 * @param {Response} response
 * @param {AbortSignal | null} [signal]
 */
async function decode(response, signal) {
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (!(error instanceof SyntaxError)) throw unreachable(); // the connection broke in the middle
    const detail = `The response from ${response.url} is not JSON. Is there a proxy in between?`;
    throw new Problem({ status: response.status, title: "Unreadable response", detail });
  }
}

function unreachable() {
  return new Problem({ status: 0, title: "The server does not answer", code: "unreachable" });
}

/** @param {Response} response */
async function problemOf(response) {
  const isProblem = response.headers.get("content-type")?.includes("json");
  const body = isProblem ? await decode(response) : {};
  return new Problem({
    status: response.status,
    title: body.title ?? `The server answered ${response.status}`,
    detail: body.detail,
    code: body.code,
    requestId: body.request_id ?? response.headers.get("x-request-id") ?? "",
    retryAfter: Number(response.headers.get("retry-after")) || 0,
  });
}
