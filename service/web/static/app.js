"use strict";
import { copy } from "./clipboard.js";
import { byId } from "./dom.js";
import { bindKeys } from "./keyboard.js";
import { Page } from "./page.js";
import { bindTheme } from "./theme.js";

const page = new Page();
const query = byId("query", HTMLInputElement);

/** Empty the box and start over. */
function clear() {
  if (query.value) page.change({ query: "" });
  query.focus();
}

byId("search", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  page.settle();
  page.run();
});
query.addEventListener("input", () => page.type(query.value));
byId("clear", HTMLButtonElement).addEventListener("click", clear);
byId("list", HTMLOListElement).addEventListener("click", () => page.settle());

for (const radio of document.querySelectorAll("input[name=mode]")) {
  radio.addEventListener("change", (event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.currentTarget);
    page.change({ mode: /** @type {import("./types.js").Mode} */ (value) });
  });
}
const rerank = byId("rerank", HTMLInputElement);
rerank.addEventListener("change", () => page.change({ rerank: rerank.checked }));
const group = byId("group", HTMLSelectElement);
group.addEventListener("change", () => {
  page.change({ groupBy: /** @type {import("./types.js").GroupBy} */ (group.value) });
});
const topN = byId("top-n", HTMLSelectElement);
topN.addEventListener("change", () => page.change({ topN: Number(topN.value) }));
const collection = byId("collection", HTMLSelectElement);
collection.addEventListener("change", () => page.change({ collection: collection.value }));

const filtersToggle = byId("filters-toggle", HTMLButtonElement);
filtersToggle.addEventListener("click", () => {
  const panel = byId("filters", HTMLElement);
  panel.hidden = !panel.hidden;
  filtersToggle.setAttribute("aria-expanded", String(!panel.hidden));
});
const curl = byId("curl", HTMLButtonElement);
curl.addEventListener("click", () => copy(page.curl(), curl));
addEventListener("popstate", () => page.travel());

bindTheme();
bindKeys({ clear });
page.start();
