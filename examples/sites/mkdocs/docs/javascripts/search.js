// The element asks the service that its script came from.
const search = document.createElement("winnow-search");
search.setAttribute("collection", "docs");
// search.setAttribute("token", "wnw_…");
// The theme's root font is 20 pixels high, and its header 48.
search.style.setProperty("--winnow-font", "400 .8rem/1.4 var(--md-text-font-family, sans-serif)");
search.style.setProperty("--winnow-surface", "var(--md-default-bg-color)");
search.style.setProperty("--winnow-text", "var(--md-default-fg-color)");
search.style.marginInlineStart = ".4rem";
search.style.flex = "none";
document.querySelector(".md-header__inner").append(search);
