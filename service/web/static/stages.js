"use strict";
/** @import {Answer, StageReport} from "./types.js" */
import { count, duration, h } from "./dom.js";

/** @typedef {"embed" | "retrieve" | "rerank"} StageName */
/** @type {StageName[]} */
const NAMES = ["embed", "retrieve", "rerank"];
const TITLES = { embed: "Embed", retrieve: "Retrieve", rerank: "Rerank" };
const BAD = ["degraded", "timeout", "failed"];

/**
 * What each stage did and how long it took, with bars in proportion; trouble is spelled out beneath.
 *
 * @param {Answer} answer
 */
export function stageStrip(answer) {
  const reports = NAMES.map((name) => /** @type {const} */ ([name, answer.stages[name]]));
  const bars = reports.filter(([, report]) => report.ms > 0).map(([name, report]) => segment(name, report));
  const troubles = reports.filter(([, report]) => BAD.includes(report.status));
  return h(
    "div",
    { class: "strip", role: "group", "aria-label": `Stages of this search, ${duration(answer.took_ms)} in all` },
    h("div", { class: "timeline", "aria-hidden": "true" }, ...bars),
    h("ul", { class: "stages" }, ...reports.map(([name, report]) => stage(name, report))),
    ...troubles.map(([name, report]) => trouble(name, report, answer)),
  );
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
  return h(
    "li",
    { class: `stage ${name} ${report.status}`, title: report.reason ?? null },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "name" }, TITLES[name]),
    h("span", { class: "ms" }, report.status === "skipped" ? "" : duration(report.ms)),
    status === "ok" ? h("span", { class: "sr-only" }, "ok") : h("span", { class: "state" }, status),
    h("span", { class: "by" }, [worked ? did(report) : "", report.model ?? report.engine ?? ""].filter(Boolean).join(" · ")),
    report.status === "skipped" && report.reason ? h("span", { class: "by" }, report.reason) : null,
  );
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
  const how = { degraded: "was degraded", timeout: "ran out of time", failed: "failed" }[report.status] ?? report.status;
  const outcome = answer.score_kind === "retrieval" ? " Results keep the first stage's order." : "";
  const reason = report.reason ? `: ${report.reason.replace(/\.$/u, "")}.` : ".";
  return h("p", { class: "trouble" }, h("b", {}, `${TITLES[name]} ${how}`), `${reason}${outcome}`);
}
