import { h, icon, LENS } from "./dom.js";

/**
 * The element's nodes, without listeners. The page's own go into the slots `controls`, before the results, and `below` them.
 *
 * @param {object} options
 * @param {boolean} options.inline
 * @param {string} options.placeholder
 * @param {string} options.dir
 * @param {string} options.lang
 * @param {(name: string) => string} options.t
 */
export function skeleton({ inline, placeholder, dir, lang, t }) {
  const button = (/** @type {string} */ name) => h("button", { type: "button", class: "plain", part: name }, t(name));
  const input = h("input", {
    type: "search", role: "combobox", part: "input", placeholder, "aria-label": t("search"), "aria-expanded": "false",
    "aria-controls": "list", "aria-autocomplete": "list", autocomplete: "off",
    autocapitalize: "off", spellcheck: "false", enterkeyhint: "search", maxlength: "8192",
  });
  const nodes = {
    input,
    clear: button("clear"),
    shut: button("close"),
    facets: h("div", { class: "facets", part: "facets", role: "group", "aria-label": t("filters") }),
    note: h("div", { class: "note", part: "note" }),
    head: h("div", { class: "head" }, t("recents")),
    list: h("div", { id: "list", part: "list", class: "body", "aria-label": t("search") }),
    state: h("div", { class: "state", part: "state" }),
    said: h("span", { class: "said", part: "status" }),
    more: button("more"),
    why: button("why"),
    forget: button("forget"),
    live: h("div", { class: "sr", role: "status" }),
  };
  nodes.why.setAttribute("aria-pressed", "false");
  for (const name of /** @type {const} */ (["clear", "facets", "note", "head", "list", "state", "more", "why", "forget"])) {
    nodes[name].hidden = true;
  }
  const foot = h("div", { class: "foot", part: "footer", hidden: true }, nodes.said, nodes.more, nodes.why, nodes.forget);
  const box = h("div", { class: "box", part: "box" }, icon(LENS), input, nodes.clear, !inline && nodes.shut);
  const own = (/** @type {string} */ name) => h("slot", { name });
  const rest = [h("div", { class: "bar" }), own("controls"), nodes.facets, nodes.note, nodes.head, nodes.list, nodes.state, own("below"), foot, nodes.live];
  const attributes = { class: inline ? "panel inline" : "panel", part: "panel", role: "search", dir, lang };
  return { ...nodes, foot, panel: h("div", { ...attributes, "aria-label": t("search") }, box, ...rest) };
}

/**
 * The button that opens the dialog; a site may put its own in the slot `trigger`.
 *
 * @param {(name: string) => string} t
 * @param {string} shortcut
 */
export function trigger(t, shortcut) {
  const keys = shortcut && { "aria-keyshortcuts": "Control+K Meta+K /" };
  const button = h(
    "button",
    { type: "button", class: "trigger", part: "button", "aria-haspopup": "dialog", ...keys },
    icon(LENS),
    t("search"),
    shortcut && h("kbd", { "aria-hidden": "true" }, shortcut),
  );
  return h("slot", { name: "trigger" }, button);
}
