// Imported before htmx, which reads its settings from a meta element when it is loaded.
// No style of its own, no other extension than ours, nothing restored from a store: pages
// are not to be kept by the browser.
const meta = document.createElement("meta");
meta.name = "htmx-config";
meta.content = JSON.stringify({
  includeIndicatorCSS: false,
  extensions: "sse, no-eval",
  history: false,
  transitions: false,
  prefix: "",
  defaultSwap: "innerMorph",
});
document.head.append(meta);
