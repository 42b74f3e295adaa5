import "./settings";
import htmx from "htmx.org/dist/htmx.esm.js";
import "htmx.org/dist/ext/hx-sse.js";

// No attribute is ever run as a program: the policy of the pages forbids it, and this says so
// to who tries, instead of a report of the browser.
function refuse(): never {
  throw new Error("attributes that hold a program are not run here");
}

htmx.registerExtension("no-eval", {
  init(api: { initSecurity(policy: unknown, sync: unknown, async: unknown): void }) {
    api.initSecurity(null, refuse, refuse);
  },
});

export default htmx;

// What an event of htmx tells about its request.
export interface Context {
  sourceElement: Element;
  text?: string;
  swap?: string;
  confirm?: string;
  fetch?: typeof fetch;
  request: { action: string; method: string; headers: Record<string, string> };
  response?: { status: number };
}

// A piece of an answer, and where it goes.
export interface Task {
  target: Element | string | null;
  swapSpec: { show?: string; scroll?: string };
}

// on listens to an event of htmx anywhere on the page.
export function on<D>(name: string, listen: (detail: D, event: CustomEvent<D>) => void): void {
  document.addEventListener(name, (event) => listen((event as CustomEvent<D>).detail, event as CustomEvent<D>));
}
