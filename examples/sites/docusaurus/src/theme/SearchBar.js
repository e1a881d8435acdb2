import React from "react";
import useDocusaurusContext from "@docusaurus/useDocusaurusContext";
import { useColorMode } from "@docusaurus/theme-common";

// In place of the theme's search: it stays in the navigation bar of narrow windows, where items of the bar do not.
export default function SearchBar() {
  const { siteConfig, i18n } = useDocusaurusContext();
  const { colorMode } = useColorMode();
  return <winnow-search {...siteConfig.customFields.winnow} lang={i18n.currentLocale} theme={colorMode}></winnow-search>;
}
