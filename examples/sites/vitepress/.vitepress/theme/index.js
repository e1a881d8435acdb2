import DefaultTheme from "vitepress/theme";
import { h } from "vue";

const search = () => h("winnow-search", { collection: "docs", style: "margin-inline: 1rem" });

export default {
  extends: DefaultTheme,
  Layout: () => h(DefaultTheme.Layout, null, { "nav-bar-content-before": search }),
};
