const service = process.env.WINNOW_URL ?? "http://127.0.0.1:8000";

export default {
  title: "Handbook",
  head: [["script", { type: "module", src: `${service}/widget/v1.js` }]],
  vue: { template: { compilerOptions: { isCustomElement: (tag) => tag === "winnow-search" } } },
};
