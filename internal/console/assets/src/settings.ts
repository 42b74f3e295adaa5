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
  // What a person has opened, such as the table of a plot, stays open when its place is updated.
  morphIgnore: ["data-htmx-powered", "open"],
});
document.head.append(meta);
