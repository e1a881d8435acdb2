const service = process.env.WINNOW_URL ?? "http://127.0.0.1:8000";

export default {
  title: "Handbook",
  url: "http://127.0.0.1",
  baseUrl: "/",
  customFields: { winnow: { collection: "docs", token: process.env.WINNOW_KEY } },
  scripts: [{ src: `${service}/widget/v1.js`, type: "module" }],
  presets: [["classic", { docs: { routeBasePath: "/" }, blog: false }]],
  themeConfig: { navbar: { title: "Handbook" } },
};
