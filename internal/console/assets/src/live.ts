import htmx, { on, type Context, type Task } from "./htmx";

// A browser opens six connections to an address. Four are for streams, so that clicks in any
// of eight tabs find a free one: a tab beyond those asks for one message at a time.
const slots = 4;
const between = 260; // milliseconds: fewer than four updates a second
let release: (() => void) | undefined;
let request: Context["request"] | undefined; // of this tab's stream
let shown = 0; // when the last update was

async function seek(): Promise<void> {
  for (let i = 0; i < slots && !release; i++) {
    await new Promise<void>((tried) => {
      void navigator.locks.request(`hikyaku-stream-${i}`, { ifAvailable: true }, (lock) => {
        if (!lock) return tried();
        return new Promise<void>((free) => {
          release = free;
          tried();
        });
      });
    });
  }
  if (!request) return;
  if (release) delete request.headers["Hikyaku-Once"];
  else request.headers["Hikyaku-Once"] = "true";
}

on<{ ctx: Context }>("htmx:config:request", ({ ctx }) => {
  if (!ctx.sourceElement.hasAttribute("hx-sse:connect")) return;
  request = ctx.request;
  ctx.fetch = async (address, options) => {
    await seek();
    return fetch(address, options);
  };
});

// Before the stream is opened again there is a wait of half a second; the slot is found in it.
on("htmx:sse:before:connection", () => void seek());

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return;
  release?.();
  release = undefined;
});

on<{ message: { event: string }; waitUntil(p: Promise<void>): void }>("htmx:sse:before:message", ({ message, waitUntil }) => {
  if (message.event) return; // changes nothing on the page by itself
  const wait = shown + between - performance.now();
  if (wait > 0) waitUntil(new Promise((go) => setTimeout(go, wait)));
  shown = Math.max(performance.now(), shown + between);
});

// A list that a person has stopped keeps the last update that it missed, for when it goes on.
const missed = new Map<Element, Context>();

on<{ ctx: Context; tasks: Task[] }>("htmx:before:swap", ({ ctx, tasks }) => {
  if (!ctx.sourceElement.hasAttribute("hx-sse:connect")) return;
  for (const button of document.querySelectorAll<HTMLElement>('[data-stop][aria-pressed="true"]')) {
    const list = stopped(button);
    for (let i = tasks.length - 1; list && i >= 0; i--) {
      const target = tasks[i].target;
      if (!(target instanceof Element) || !list.contains(target)) continue;
      tasks.splice(i, 1);
      missed.set(list, { ...ctx });
    }
  }
});

function stopped(button: HTMLElement): Element | null {
  return button.dataset.stop ? document.querySelector(button.dataset.stop) : null;
}

document.addEventListener("click", (event) => {
  const button = (event.target as Element).closest<HTMLElement>("[data-stop]");
  const list = button && stopped(button);
  if (!button || !list) return;
  const stop = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(stop));
  list.toggleAttribute("data-stopped", stop);
  const update = missed.get(list);
  missed.delete(list);
  if (!stop && update) void htmx.swap(update);
});

