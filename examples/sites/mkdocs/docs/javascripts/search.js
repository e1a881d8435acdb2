// The element asks the service that its script came from.
const search = document.createElement("winnow-search");
search.setAttribute("collection", "docs");
// search.setAttribute("token", "wnw_…");
search.style.setProperty("--winnow-surface", "var(--md-default-bg-color)");
search.style.setProperty("--winnow-text", "var(--md-default-fg-color)");
document.querySelector(".md-header__inner").append(search);
