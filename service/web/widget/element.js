import { explain, fail, next, offer, point, show } from "./answers.js";
import { Asker, Refusal } from "./client.js";
import { h, Recents } from "./dom.js";
import { clicked, converted } from "./events.js";
import { boxKey, detailsAt, detailsKey, hotkey } from "./keys.js";
import { ask, baseOf, bodyOf } from "./request.js";
import { languageOf, texts } from "./strings.js";
import { CSS } from "./style.js";
import { skeleton, trigger } from "./view.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);
const RTL = ["ar", "fa", "he", "ur"];
const LAYS_OUT = ["lang", "dir", "layout", "placeholder"];

/**
 * `<winnow-search endpoint collection token>`: a search box with its results, as a dialog or `layout="inline"`.
 *
 * Attributes: `endpoint` (by default the host of the script), `collection` (empty: the page says later which), `token`,
 * `layout`, `lang`, `dir`, `theme` (light, dark, auto), `placeholder`, `results` (how many, 8), `facets` ("lang:Language,year"),
 * `filter` (JSON), `hotkeys="off"`, `recents="off"`, `session` (sent with clicks). Properties: `query`, `params` (more members
 * of the request), `refinements` (the facet values that are chosen), `request` (what is sent), `details` (a function that makes a
 * node to go under a result), `token` (a string, or a function that returns one, also as a promise; asked again after a
 * refusal). Slots: `trigger`, `controls`, `below`. Events: `winnow-input`, `winnow-answer`, `winnow-active`, `winnow-refine`, and
 * `winnow-select` and `winnow-error`, which a listener may prevent.
 */
class WinnowSearch extends HTMLElement {
  static observedAttributes = [...LAYS_OUT, "collection", "endpoint", "facets", "filter", "results"];

  constructor() {
    super();
    this.root = this.attachShadow({ mode: "open", delegatesFocus: true });
    this.root.adoptedStyleSheets = [sheet];
    /** @type {Record<string, unknown>} */
    this.members = {};
    /** @type {null | ((result: any, answer: any) => HTMLElement | null)} */
    this.details = null;
    /** @type {(HTMLElement | null)[]} */
    this.extras = []; // what `details` made, for each result
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
    this.planned = false;
    this.asker = new Asker({
      instant: (signal) => (this.params.mode || this.refused ? null : ask(this, { mode: "instant" }, signal)),
      full: (signal) => ask(this, {}, signal),
      answered: (answer) => show(this, answer),
      failed: (error) => fail(this, error),
      busy: (busy) => this.panel?.classList.toggle("busy", busy),
    });
    this.hotkey = (/** @type {KeyboardEvent} */ event) => hotkey(this, event);
    this.online = () => this.refused && this.run();
    this.addEventListener("keydown", (event) => detailsKey(this, event));
    this.addEventListener("focusin", (event) => {
      const at = detailsAt(this, event);
      if (at >= 0 && at !== this.active) point(this, at);
    });
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
    if (LAYS_OUT.includes(name)) return this.build();
    this.chosen.clear();
    this.plan();
  }

  /** Search when all that changes now has changed. */
  plan() {
    if (this.planned || !this.panel) return;
    this.planned = true;
    queueMicrotask(() => this.planned && this.run());
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
    this.plan();
  }

  get params() {
    return this.members;
  }

  set params(value) {
    this.members = value;
    this.plan();
  }

  /** @returns {Record<string, unknown[]>} */
  get refinements() {
    return Object.fromEntries([...this.chosen].filter(([, values]) => values.size).map(([key, values]) => [key, [...values]]));
  }

  set refinements(value) {
    if (JSON.stringify(value) === JSON.stringify(this.refinements)) return;
    this.chosen = new Map(Object.entries(value).map(([key, values]) => [key, new Set(values)]));
    this.plan();
  }

  get request() {
    return bodyOf(this);
  }

  get recent() {
    return new Recents(`${baseOf(this)} ${this.getAttribute("collection")}`);
  }

  get options() {
    return /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll("[aria-selected]")]);
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
    this.input.value = kept;
    if (kept) this.plan();
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
    input.addEventListener("focus", () => this.query.trim() || offer(this));
    input.addEventListener("keydown", (event) => boxKey(this, event));
    this.clear.addEventListener("click", () => this.empty());
    this.shut.addEventListener("click", () => this.close());
    this.more.addEventListener("click", () => next(this));
    this.why.addEventListener("click", () => explain(this));
    this.forget.addEventListener("click", () => {
      this.recent.set([]);
      offer(this);
      input.focus();
    });
    for (const type of ["click", "auxclick"]) this.list.addEventListener(type, (event) => this.select(/** @type {MouseEvent} */ (event)));
  }

  /** Open the dialog, or go to the box. */
  open() {
    this.scheme();
    if (this.dialog && !this.dialog.open) this.dialog.showModal();
    this.input.focus();
    this.input.select();
    if (!this.query.trim()) offer(this);
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
    if (this.idle) this.run();
    else if (this.ready()) this.asker.type();
  }

  /** Whether there is nothing to search for, or nothing to search in yet. */
  get idle() {
    return !this.query.trim() || this.getAttribute("collection") === "";
  }

  /** Search now, or show what was searched for before. */
  run() {
    this.planned = false;
    clearInterval(this.countdown);
    this.refused = null;
    this.asker.stop();
    this.clear.hidden = !this.query;
    if (this.idle) offer(this);
    else if (this.ready()) this.asker.now();
  }

  ready() {
    if (this.getAttribute("collection")) return true;
    console.error("<winnow-search> needs the attribute collection");
    fail(this, new Refusal("failed"));
    return false;
  }

  /** @param {MouseEvent} event */
  select(event) {
    const at = this.options.findIndex((one) => one.contains(/** @type {Node} */ (event.target)));
    if (at < 0 || event.button === 2) return;
    if (!this.answer) {
      this.input.value = this.shown[at];
      this.input.focus();
      this.emit("winnow-input", this.query);
      return this.run();
    }
    this.recent.add(this.query.trim());
    clicked(this, at);
    if (!this.emit("winnow-select", this.shown[at])) return event.preventDefault();
    const link = /** @type {Element} */ (event.target).closest("a");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.button) this.close();
  }

  /** @param {string} documentId @returns {boolean} whether a search of this tab led there, and is now told so */
  conversion(documentId) {
    return converted(this, documentId);
  }

  /** @param {string} name @param {unknown} detail @returns {boolean} false: a listener prevented what follows */
  emit(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }));
  }
}

if (!customElements.get("winnow-search")) customElements.define("winnow-search", WinnowSearch);
