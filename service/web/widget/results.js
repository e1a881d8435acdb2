import { h, marked } from "./dom.js";
import { excerpt, plain, safeUrl, withFragment } from "./links.js";

/** @param {number} value a score on an open scale, three digits that matter */
export function score(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/**
 * Ranks and scores of a result in both stages, in one line of text.
 *
 * @param {any} result
 * @param {(name: string) => string} t
 */
export function reasons({ rank, exact, stages }, t) {
  const arm = (/** @type {string} */ name, /** @type {{rank: number, score: number} | null | undefined} */ at) =>
    `${t(name)} ${at ? `#${at.rank} (${score(at.score)})` : "–"}`;
  const way = stages.rerank && stages.fused ? [`#${stages.fused.rank} → #${rank}`] : [`#${rank}`];
  const named = exact ? [`${t("exact")} (${exact})`] : [];
  const names = ["dense", "sparse", "fused", "rerank"];
  const arms = ["meaning", "words", "fused", "reranked"].map((name, at) => arm(name, stages[names[at]]));
  return [...way, ...named, ...arms].join(" · ");
}

/**
 * One result as an option of the list: a link where its address is safe to follow.
 *
 * @param {any} result
 * @param {object} context
 * @param {string} context.id
 * @param {boolean} context.why whether to show its scores
 * @param {boolean} context.twin whether another result has its title: then its address is shown, too
 * @param {(name: string) => string} context.t
 */
export function resultOption(result, { id, why, twin, t }) {
  const points = Array.from(result.text ?? "");
  const highlights = result.highlights ?? [];
  const href = withFragment(safeUrl(result.url, document.baseURI), points, highlights);
  const name = result.title || result.document_id;
  const path = [twin && href && new URL(href).pathname, ...(result.chunk?.headings ?? [])].filter((one) => one && one !== name).join(" › ");
  const attributes = { role: "option", id, class: "option", part: "option", "aria-selected": "false" };
  return h(
    href ? "a" : "div",
    { ...attributes, ...(href && { href, tabindex: "-1", rel: "noopener" }) },
    h("span", { class: "title", part: "title", dir: "auto" }, name),
    path && h("span", { class: "path", part: "path", dir: "auto" }, path),
    h("span", { class: "text", part: "text", dir: "auto" }, ...marked([...plain(result.text ?? "")], highlights, excerpt(points, highlights))),
    why && h("span", { class: "why", part: "why" }, reasons(result, t)),
  );
}

/**
 * Check boxes for the values of each facet, most frequent first. A value stays offered while it is chosen.
 *
 * @param {Record<string, {values: {value: unknown, count: number}[]}>} facets
 * @param {Map<string, string>} labels the keys to show, with their headings
 * @param {Map<string, Set<unknown>>} chosen
 * @param {() => void} changed
 */
export function facetGroups(facets, labels, chosen, changed) {
  return [...labels].map(([key, label]) => {
    const picked = chosen.get(key) ?? new Set();
    const counted = facets[key]?.values ?? [];
    const missing = [...picked].filter((one) => !counted.some(({ value }) => value === one));
    const values = [...counted, ...missing.map((value) => ({ value, count: 0 }))];
    if (values.length === 0) return null;
    const boxes = values.slice(0, 8 + picked.size).map(({ value, count }) => {
      const toggle = () => {
        if (!picked.delete(value)) picked.add(value);
        chosen.set(key, picked);
        changed();
      };
      const data = JSON.stringify([key, value]);
      const box = h("input", { type: "checkbox", checked: picked.has(value), onchange: toggle, "data-facet": data });
      return h("label", { dir: "auto" }, box, String(value), h("span", { class: "count" }, `${count}`));
    });
    return h("fieldset", { part: "facet" }, h("legend", {}, label), ...boxes);
  });
}

/**
 * The filter of a search: the site's own and what the visitor has chosen.
 *
 * @param {object | null} own
 * @param {Map<string, Set<unknown>>} chosen
 */
export function filterOf(own, chosen) {
  const picked = [...chosen].filter(([, values]) => values.size);
  const filters = picked.map(([key, values]) => /** @type {object} */ ({ type: "in", key, value: [...values] }));
  if (own) filters.unshift(own);
  return filters.length > 1 ? { type: "and", filters } : filters[0];
}
