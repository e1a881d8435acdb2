"use strict";
/** @import {Answer, ArmScore, Result} from "./types.js" */
import { score } from "../widget/results.js";
import { h } from "./dom.js";

/**
 * The result's rank after the first stage and now, as a button that opens the trace.
 *
 * @param {Result} result
 * @param {HTMLElement} details
 */
export function movement(result, details) {
  const { way, path, sign, words } = moveOf(result);
  return h(
    "button",
    {
      type: "button",
      class: `moved ${way}`,
      title: summary(result),
      "aria-expanded": "false",
      onclick: (/** @type {MouseEvent} */ event) => {
        details.hidden = !details.hidden;
        /** @type {HTMLElement} */ (event.currentTarget).setAttribute("aria-expanded", String(!details.hidden));
      },
    },
    h("span", { class: "way", "aria-hidden": "true" }, `${path} `, h("b", {}, sign)),
    h("span", { class: "sr-only" }, `${words}. Scores of each stage`),
  );
}

/** @param {Result} result */
function moveOf({ rank, stages }) {
  const from = stages.fused.rank;
  const climbed = from - rank;
  const path = `#${from} → #${rank}`;
  if (!stages.rerank) {
    return { way: "same", path: "first stage", sign: `#${from}`, words: `First stage ${from}, not reranked` };
  }
  const words = `First stage ${from}, now ${rank}`;
  if (climbed > 0) return { way: "up", path, sign: `▲${climbed}`, words: `${words}, up ${climbed}` };
  if (climbed < 0) return { way: "down", path, sign: `▼${-climbed}`, words: `${words}, down ${-climbed}` };
  return { way: "same", path: `#${from}`, sign: "=", words: `${words}, not moved` };
}

/** @param {Result} result */
function summary({ stages }) {
  const arm = (/** @type {string} */ name, /** @type {ArmScore | null | undefined} */ at) =>
    at ? `${name} #${at.rank} (${score(at.score)})` : `${name}: not found`;
  return [
    arm("Dense", stages.dense),
    arm("Keyword", stages.sparse),
    arm("Fused", stages.fused),
    stages.rerank ? arm("Reranked", stages.rerank) : "Not reranked",
  ].join("\n");
}

/**
 * The ranks and scores from each arm and stage, as a table that is hidden at first.
 *
 * @param {Result} result
 * @param {Answer} answer
 */
export function trace({ stages, chunk, document_id, exact }, answer) {
  const { rerank } = answer.stages;
  const unranked = rerank.status === "ok" || rerank.status === "cached" ? "not scored" : rerank.status;
  const row = (
    /** @type {string} */ name,
    /** @type {ArmScore | null | undefined} */ at,
    /** @type {string} */ otherwise,
  ) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", {}, at ? `#${at.rank}` : "–"),
      h("td", {}, at ? score(at.score) : otherwise),
    );
  return h(
    "div",
    { class: "trace", hidden: true },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...["Step", "Rank", "Score"].map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        row("Dense (meaning)", stages.dense, "not found"),
        row("Keyword (words)", stages.sparse, "not found"),
        row("Fused", stages.fused, ""),
        row("Reranked", stages.rerank, unranked),
      ),
    ),
    exact ? h("p", {}, `Placed first: the query names it by its ${exact}.`) : null,
    h("p", { class: "quiet" }, h("bdi", {}, document_id), ` · chunk ${chunk.index} · characters ${chunk.start}–${chunk.end}`),
  );
}
