"use strict";
import "../widget/element.js";
import { copy } from "./clipboard.js";
import { byId } from "./dom.js";
import { Page } from "./page.js";
import { bindTheme } from "./theme.js";

const page = new Page();

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
byId("filters-toggle", HTMLButtonElement).addEventListener("click", () => page.toggleFilters());
const curl = byId("curl", HTMLButtonElement);
curl.addEventListener("click", () => copy(page.curl(), curl));
addEventListener("popstate", () => page.travel());

const help = byId("help", HTMLDialogElement);
byId("help-open", HTMLButtonElement).addEventListener("click", () => help.showModal());
document.addEventListener("keydown", ({ key, target }) => {
  const writing = /** @type {HTMLElement} */ (target).matches("winnow-search, input:not([type=radio], [type=checkbox]), select, textarea");
  if (key === "?" && !writing && !document.querySelector("dialog[open]")) help.showModal();
});

bindTheme();
page.start();
