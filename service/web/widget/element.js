import { Asker, Refusal, send } from "./client.js";
import { h, Recents } from "./dom.js";
import { boxKey, hotkey } from "./keys.js";
import { facetGroups, filterOf, resultOption } from "./results.js";
import { languageOf, texts } from "./strings.js";
import { CSS } from "./style.js";
import { skeleton, trigger } from "./view.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);
const RTL = ["ar", "fa", "he", "ur"];

/**
 * `<winnow-search endpoint collection token>`: a search box with its results, as a dialog or `layout="inline"`.
 *
 * Attributes: `endpoint` (by default the host of the script), `collection`, `token`, `layout`, `lang`, `dir`, `theme`
 * (light, dark, auto), `placeholder`, `results` (how many, 8), `facets` ("lang:Language,year"), `filter` (JSON), `hotkeys="off"`,
 * `recents="off"`. Properties: `query`, `params` (more members of the request), `token` (a string, or a function that
 * returns one, also as a promise; asked again after a refusal). Events: `winnow-input`, `winnow-answer`, `winnow-active`,
 * and `winnow-select` and `winnow-error`, which a listener may prevent.
 */
class WinnowSearch extends HTMLElement {
  static observedAttributes = ["collection", "endpoint", "layout", "lang", "dir", "facets", "placeholder", "filter"];

  constructor() {
    super();
    this.root = this.attachShadow({ mode: "open", delegatesFocus: true });
    this.root.adoptedStyleSheets = [sheet];
    /** @type {Record<string, unknown>} */
    this.params = {};
    /** @type {null | (() => string | Promise<string>)} */
    this.provider = null;
    this.fetched = "";
    /** @type {Map<string, Set<unknown>>} */
    this.chosen = new Map();
    /** @type {any[]} */
    this.shown = [];
    /** @type {any} */
    this.answer = null;
    this.active = -1;
    this.moved = false; // whether the visitor has chosen the active option
    this.asker = new Asker({
      instant: (signal) => (this.params.mode ? null : this.ask({ mode: "instant" }, signal)),
      full: (signal) => this.ask({}, signal),
      answered: (answer) => this.show(answer),
      failed: (error) => this.fail(error),
      busy: (busy) => this.panel?.classList.toggle("busy", busy),
    });
    this.hotkey = (/** @type {KeyboardEvent} */ event) => hotkey(this, event);
    this.online = () => this.refused && this.run();
  }

  connectedCallback() {
    this.build();
    addEventListener("keydown", this.hotkey);
    addEventListener("online", this.online);
  }

  disconnectedCallback() {
    this.asker.stop();
    clearInterval(this.countdown);
    removeEventListener("keydown", this.hotkey);
    removeEventListener("online", this.online);
  }

  attributeChangedCallback(/** @type {string} */ name, /** @type {string} */ before, /** @type {string} */ now) {
    if (before === now || !this.panel) return;
    if (name === "lang" || name === "dir" || name === "layout" || name === "placeholder") return this.build();
    this.chosen.clear();
    this.run();
  }

  get token() {
    return this.fetched || (this.getAttribute("token") ?? "");
  }

  set token(/** @type {string | (() => string | Promise<string>)} */ value) {
    this.provider = typeof value === "function" ? value : null;
    this.fetched = typeof value === "string" ? value : "";
  }

  get query() {
    return this.input?.value ?? "";
  }

  set query(value) {
    if (!this.input || this.input.value === value) return;
    this.input.value = value;
    this.chosen.clear();
    this.run();
  }

  get inline() {
    return this.getAttribute("layout") === "inline";
  }

  build() {
    const kept = this.query;
    const around = this.closest("[lang]")?.getAttribute("lang") || navigator.language;
    const lang = languageOf(around);
    this.t = texts(lang);
    const near = this.closest("[dir]")?.getAttribute("dir") || "";
    const dir = /^(rtl|ltr)$/u.test(near) ? near : RTL.includes(around.toLowerCase().split("-")[0]) ? "rtl" : "ltr";
    const placeholder = this.getAttribute("placeholder") ?? this.t("placeholder");
    Object.assign(this, skeleton({ inline: this.inline, placeholder, dir, lang, t: this.t }));
    this.recent = new Recents(`${this.base} ${this.getAttribute("collection")}`);
    this.input.value = kept;
    this.listen();
    this.scheme();
    this.dialog = null;
    if (this.inline) return this.root.replaceChildren(this.panel);
    const mac = /Mac|iP(hone|ad)/u.test(navigator.platform);
    const keys = this.getAttribute("hotkeys") === "off" ? "" : mac ? "⌘ K" : "Ctrl K";
    const opener = trigger(this.t, keys);
    opener.addEventListener("click", () => this.open());
    this.dialog = h("dialog", { part: "dialog", "aria-label": this.t("search"), dir, lang }, this.panel);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.close());
    this.dialog.addEventListener("close", () => this.asker.stop());
    this.root.replaceChildren(opener, this.dialog);
  }

  /** A page that says how it is coloured is followed, else the system. */
  scheme() {
    const declared = getComputedStyle(document.documentElement).colorScheme;
    if (declared === "normal" || !declared) this.setAttribute("scheme", "system");
    else this.removeAttribute("scheme");
  }

  listen() {
    const { input } = this;
    input.addEventListener("input", (event) => {
      if (!(/** @type {InputEvent} */ (event).isComposing)) this.typed();
    });
    input.addEventListener("compositionend", () => this.typed());
    input.addEventListener("focus", () => this.query.trim() || this.offer());
    input.addEventListener("keydown", (event) => boxKey(this, event));
    this.clear.addEventListener("click", () => this.empty());
    this.shut.addEventListener("click", () => this.close());
    this.more.addEventListener("click", () => this.next());
    this.why.addEventListener("click", () => this.explain());
    this.forget.addEventListener("click", () => {
      this.recent.set([]);
      this.offer();
      input.focus();
    });
    this.list.addEventListener("click", (event) => this.clicked(event));
  }

  /** Open the dialog, or go to the box. */
  open() {
    this.scheme();
    if (this.dialog && !this.dialog.open) this.dialog.showModal();
    this.input.focus();
    this.input.select();
    if (!this.query.trim()) this.offer();
  }

  close() {
    this.dialog?.close();
    this.input.blur(); // where nothing had the focus before, the box would keep it until the next frame
  }

  empty() {
    this.input.value = "";
    this.chosen.clear();
    this.input.focus();
    this.typed();
  }

  typed() {
    this.moved = false;
    this.emit("winnow-input", this.query);
    this.clear.hidden = !this.query;
    if (!this.query.trim()) return this.run();
    if (this.ready()) this.asker.type();
  }

  /** Search now, or show what was searched for before. */
  run() {
    clearInterval(this.countdown);
    this.refused = null;
    this.asker.stop();
    this.clear.hidden = !this.query;
    if (!this.query.trim()) this.offer();
    else if (this.ready()) this.asker.now();
  }

  ready() {
    if (this.getAttribute("collection")) return true;
    console.error("<winnow-search> needs the attribute collection");
    this.fail(new Refusal("failed", { detail: "<winnow-search> needs the attribute collection" }));
    return false;
  }

  get base() {
    const own = new URL("../", import.meta.url);
    return new URL(this.getAttribute("endpoint")?.replace(/\/*$/u, "/") || own, document.baseURI).href;
  }

  /** @param {object} part @param {AbortSignal} signal */
  async ask(part, signal) {
    const name = encodeURIComponent(this.getAttribute("collection") ?? "");
    const url = `${this.base}v1/collections/${name}/search`;
    if (this.provider && !this.fetched) this.fetched = await this.provider();
    const body = { ...this.body(), ...part };
    try {
      return await send(url, this.token, body, signal);
    } catch (error) {
      if (!this.provider || !(error instanceof Refusal) || error.kind !== "token") throw error;
      this.fetched = await this.provider();
      return send(url, this.token, body, signal);
    }
  }

  body() {
    const own = this.getAttribute("filter");
    const filter = filterOf(own ? JSON.parse(own) : null, this.chosen);
    const keys = [...this.facetLabels().keys()];
    return {
      query: this.query.trim(),
      top_n: Number(this.getAttribute("results")) || 8,
      highlight: true,
      ...(filter && { filter }),
      ...(keys.length && { facets: keys, disjunctive: true }),
      ...this.params,
    };
  }

  /** The keys of the attribute `facets` with their headings. */
  facetLabels() {
    const parts = (this.getAttribute("facets") ?? "").split(",").map((one) => one.trim()).filter(Boolean);
    return new Map(parts.map((one) => /** @type {[string, string]} */ (one.includes(":") ? one.split(/:(.*)/su) : [one, one])));
  }

  /** What was searched for before, while the box is empty. */
  offer() {
    const found = this.getAttribute("recents") === "off" ? [] : this.recent.get();
    this.answer = null;
    this.shown = found;
    this.draw(found.map((query, at) => this.plainOption(query, at)));
    this.lay({ head: found.length, forget: found.length, foot: found.length });
    this.said.textContent = "";
    this.live.textContent = "";
  }

  plainOption(/** @type {string} */ text, /** @type {number} */ at) {
    const attributes = { role: "option", id: `o${at}`, class: "option", part: "option", "aria-selected": "false" };
    return h("div", { ...attributes, dir: "auto" }, text);
  }

  /** Show only the named parts; the list where it has options. */
  lay(/** @type {Record<string, unknown>} */ parts) {
    const all = ["facets", "note", "head", "state", "more", "why", "forget", "foot"];
    for (const name of all) /** @type {any} */ (this)[name].hidden = !parts[name];
    this.list.hidden = this.options.length === 0;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
  }

  get options() {
    return /** @type {HTMLElement[]} */ ([...this.list.children]);
  }

  draw(/** @type {HTMLElement[]} */ options) {
    this.list.replaceChildren(...options);
    this.point(-1);
  }

  /** Make an option the active one; -1 for none. */
  point(/** @type {number} */ at) {
    this.options[this.active]?.setAttribute("aria-selected", "false");
    this.active = at;
    const option = this.options[at];
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", option.id);
    } else this.input.removeAttribute("aria-activedescendant");
    this.emit("winnow-active", this.answer ? (this.shown[at] ?? null) : null);
  }

  /** Show an answer in place of what was there; an option that was chosen stays active. No names: wait for the rest. */
  show(/** @type {any} */ answer) {
    if (answer.speed === "instant" && !answer.results.length) return;
    this.refused = null;
    const key = this.moved && this.answer && this.active >= 0 ? keyOf(this.shown[this.active]) : null;
    this.answer = answer;
    this.shown = answer.results;
    this.redraw(key);
    this.emit("winnow-answer", answer);
  }

  redraw(/** @type {string | null} */ key) {
    const { answer, shown, t } = this;
    const context = { why: this.why.getAttribute("aria-pressed") === "true", t };
    this.draw(shown.map((result, at) => resultOption(result, { id: `o${at}`, ...context })));
    const at = shown.findIndex((result) => keyOf(result) === key);
    this.point(at < 0 && this.dialog && shown.length ? 0 : at);
    this.drawFacets();
    const found = shown.length > 0;
    const picked = [...this.chosen.values()].some((values) => values.size);
    const facets = this.facets.childElementCount > 0 && (found || picked);
    this.lay({ facets, note: answer.degraded, state: !found, foot: true, more: answer.next && answer.speed === "full", why: found });
    this.note.textContent = t("degraded");
    this.state.textContent = found ? "" : t("none", { q: this.query.trim() });
    this.said.textContent = this.live.textContent = found ? t("results", { n: shown.length }) : this.state.textContent;
    if (!found) this.said.textContent = "";
  }

  drawFacets() {
    const focused = this.root.activeElement?.getAttribute("data-facet");
    const labels = this.facetLabels();
    const groups = facetGroups(this.answer.facets ?? {}, labels, this.chosen, () => this.run());
    this.facets.replaceChildren(.../** @type {Node[]} */ (groups.filter(Boolean)));
    const box = focused && this.facets.querySelector(`[data-facet="${globalThis.CSS.escape(focused)}"]`);
    if (box) /** @type {HTMLElement} */ (box).focus();
  }

  explain() {
    const now = this.why.getAttribute("aria-pressed") !== "true";
    this.why.setAttribute("aria-pressed", String(now));
    this.redraw(this.active >= 0 ? keyOf(this.shown[this.active]) : null);
  }

  /** The next page, behind what is shown. */
  async next() {
    const { answer, asker } = this;
    const running = new AbortController();
    asker.stop();
    asker.running = running;
    asker.hooks.busy(true);
    try {
      const page = await this.ask({ cursor: answer.next }, running.signal);
      if (asker.running !== running) return;
      const at = this.shown.length;
      this.answer = page;
      this.shown = [...this.shown, ...page.results];
      this.redraw(null);
      this.point(Math.min(at, this.shown.length - 1));
      this.input.focus();
    } catch (error) {
      if (asker.running === running) this.fail(error);
    } finally {
      if (asker.running === running) asker.done();
    }
  }

  /** Say why there is no answer; go on by itself where the service says when, or the network is back. */
  fail(/** @type {unknown} */ error) {
    if (!(error instanceof Refusal)) throw error;
    this.refused = error;
    this.answer = null;
    this.shown = [];
    this.draw([]);
    this.lay({ state: true });
    if (!this.emit("winnow-error", error)) return this.lay({});
    const waits = error.wait > 0;
    const words = h("p", {}, this.t(waits ? "limit" : error.kind, { n: error.wait }));
    const retry = h("button", { type: "button", class: "plain", part: "retry", onclick: () => this.run() }, this.t("retry"));
    this.state.replaceChildren(words, retry);
    this.live.textContent = words.textContent;
    if (waits) this.wait(error, words);
  }

  wait(/** @type {Refusal} */ error, /** @type {HTMLElement} */ words) {
    const until = Date.now() + error.wait * 1000;
    clearInterval(this.countdown);
    this.countdown = setInterval(() => {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left <= 0) return this.run();
      words.textContent = this.t("limit", { n: left });
    }, 1000);
  }

  clicked(/** @type {MouseEvent} */ event) {
    const option = /** @type {HTMLElement} */ (event.target).closest("[role=option]");
    if (!option) return;
    const at = this.options.indexOf(/** @type {HTMLElement} */ (option));
    if (!this.answer) {
      this.input.value = this.shown[at];
      this.input.focus();
      return this.run();
    }
    this.recent.add(this.query.trim());
    if (!this.emit("winnow-select", this.shown[at])) return event.preventDefault();
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) this.close();
  }

  /** @param {string} name @param {unknown} detail @returns {boolean} false: a listener prevented what follows */
  emit(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }));
  }
}

/** @param {any} result */
function keyOf(result) {
  return result && `${result.document_id} ${result.chunk?.index}`;
}

if (!customElements.get("winnow-search")) customElements.define("winnow-search", WinnowSearch);
