"use strict";
/** @import {Answer, StageReport} from "./types.js" */
import { count, duration, h } from "./dom.js";

/** @typedef {"embed" | "retrieve" | "rerank"} StageName */
/** @type {StageName[]} */
const NAMES = ["embed", "retrieve", "rerank"];
const TITLES = { embed: "Embed", retrieve: "Retrieve", rerank: "Rerank" };
/** @type {Partial<Record<StageReport["status"], string>>} */
const TROUBLES = { degraded: "was degraded", timeout: "ran out of time", failed: "failed" };

/**
 * The status and duration of each stage, with bars in proportion and the reasons of failures beneath.
 *
 * @param {Answer} answer
 */
export function stageStrip(answer) {
  const reports = NAMES.map((name) => /** @type {const} */ ([name, answer.stages[name]]));
  const bars = reports.filter(([, report]) => report.ms > 0).map(([name, report]) => segment(name, report));
  const troubles = reports.filter(([, report]) => report.status in TROUBLES);
  return h(
    "div",
    { class: "strip", role: "group", "aria-label": `Stages of this search, ${duration(answer.took_ms)} in all` },
    h("div", { class: "timeline", "aria-hidden": "true" }, ...bars),
    h("ul", { class: "stages" }, ...reports.map(([name, report]) => stage(name, report))),
    ...troubles.map(([name, report]) => trouble(name, report, answer)),
    ...judgment(answer),
  );
}

/**
 * Whether there is an answer at all, where the collection is calibrated.
 *
 * @param {Answer} answer
 */
function judgment({ answerable }) {
  if (!answerable) return [];
  const { probability, threshold, calibrated_on: on } = answerable;
  const said = probability >= threshold ? "The first result is probably right" : "There is probably no answer here";
  return [h("p", { class: "quiet", title: `Calibrated on ${on}` }, `${said}: ${Math.round(probability * 100)} %`)];
}

/**
 * @param {StageName} name
 * @param {StageReport} report
 */
function segment(name, report) {
  const bar = h("span", { class: `segment ${name} ${report.status}` });
  bar.style.flexGrow = String(report.ms);
  return bar;
}

/**
 * @param {StageName} name
 * @param {StageReport} report
 */
function stage(name, report) {
  const cached = report.cached || report.status === "cached";
  const worked = report.status === "ok" || report.status === "cached";
  const status = cached ? "cached" : report.status;
  const by = report.model ?? report.engine ?? "";
  const about = [worked && did(report), by.split("/").at(-1), skipReason(report)];
  return h(
    "li",
    { class: `stage ${name} ${report.status}`, title: report.reason ?? by },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "name" }, TITLES[name]),
    h("span", { class: "ms" }, report.status === "skipped" ? "" : duration(report.ms)),
    status === "ok" ? h("span", { class: "sr-only" }, "ok") : h("span", { class: "state" }, status),
    h("span", { class: "by" }, about.filter(Boolean).join(" · ")),
  );
}

/** @param {StageReport} report other troubles are spelled out beneath the strip */
function skipReason({ status, reason }) {
  return status === "skipped" ? reason : null;
}

/** @param {StageReport} report */
function did(report) {
  if (report.candidates !== undefined) return `${count(report.candidates)} found`;
  if (report.scored !== undefined) return `${count(report.scored)} scored`;
  return "";
}

/**
 * @param {StageName} name
 * @param {StageReport} report
 * @param {Answer} answer
 */
function trouble(name, report, answer) {
  const how = TROUBLES[report.status];
  const unranked = name === "rerank" && answer.score_kind === "retrieval";
  const outcome = unranked ? " Results keep the first stage's order." : "";
  const reason = report.reason ? `: ${report.reason.replace(/\.$/u, "")}.` : ".";
  return h("p", { class: "trouble" }, h("b", {}, `${TITLES[name]} ${how}`), `${reason}${outcome}`);
}
