"use strict";
import { byId } from "./dom.js";
import { remember } from "./storage.js";

const THEMES = ["auto", "light", "dark"];
const SIGNS = { auto: "◐", light: "○", dark: "●" };
const NAMES = { auto: "automatic", light: "light", dark: "dark" };

/** Let the button go through automatic, light and dark, and keep the choice. */
export function bindTheme() {
  const button = byId("theme", HTMLButtonElement);
  const root = document.documentElement;
  const show = () => {
    const theme = /** @type {keyof typeof SIGNS} */ (root.dataset.theme ?? "auto");
    button.textContent = SIGNS[theme];
    button.title = `Theme: ${NAMES[theme]}`;
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    root.dataset.theme = next;
    remember("localStorage", "winnow.theme", next);
    show();
  });
  show();
}
