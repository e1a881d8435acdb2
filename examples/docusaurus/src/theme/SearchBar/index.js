// Docusaurus puts this component in place of its own search bar (its "swizzling").
import React, { useEffect } from "react";
import useDocusaurusContext from "@docusaurus/useDocusaurusContext";
import { useColorMode } from "@docusaurus/theme-common";

export default function SearchBar() {
  const { siteConfig, i18n } = useDocusaurusContext();
  const { colorMode } = useColorMode();
  const { endpoint, collection, token } = siteConfig.customFields.winnow;
  useEffect(() => {
    import(/* webpackIgnore: true */ `${endpoint}/widget/v1.js`);
  }, [endpoint]);
  return (
    <winnow-search
      endpoint={endpoint}
      collection={collection}
      token={token}
      lang={i18n.currentLocale}
      theme={colorMode}
    ></winnow-search>
  );
}
