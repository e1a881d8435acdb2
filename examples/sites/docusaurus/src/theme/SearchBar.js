import React from "react";

// In place of the theme's search: it stays in the navigation bar of narrow windows, where items of the bar do not.
export default function SearchBar() {
  return <winnow-search collection="docs"></winnow-search>;
}
